package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
)

// runCommand runs the command. If that is branelet, it also reads the result from the output and interprets the exit code.
func (r *runner) runCommand(ctx context.Context, command []string, stdout io.Writer) (code int, result json.RawMessage, err error) {
	version := r.spec.Step.Brane
	if version == "" {
		code, err = r.executeCommand(ctx, command, r.spec.Step.indexEnvironment(), stdout)
		return code, nil, err
	}
	output := &branelet.Output{Version: version}
	var watch witness
	if version.HidesExitCode() {
		if r.alone { // links cannot be created in the image volume
			if err = copySelf(r.paths.binaryFile()); err != nil {
				return ExitStageIn, nil, err
			}
		}
		if watch, err = r.paths.newWitness(os.Getenv(branelet.EnvWorkDir)); err != nil {
			return ExitStageIn, nil, err
		}
	}
	code, err = r.executeCommand(ctx, command, append(r.spec.Step.indexEnvironment(), watch.witnessEnvironment()...), io.MultiWriter(output, stdout)) // output first, because writing to the log may fail
	switch {
	case err != nil:
		return code, nil, err
	case code != 0:
		if meaning := version.Meaning(code); meaning != "" {
			r.writeMessage("%s (exit code %d of Brane %s)", meaning, code, version)
		}
		return code, nil, nil
	}
	if hidden, found := watch.programExitCode(); found && hidden != 0 {
		return hidden, nil, fmt.Errorf("the package's program exited with code %d, which branelet of Brane %s does not report", hidden, version)
	}
	text, err := output.Result()
	if err != nil {
		return ExitNoResult, nil, fmt.Errorf("branelet of Brane %s exited with code 0, but %w", version, err)
	}
	return 0, text, nil
}

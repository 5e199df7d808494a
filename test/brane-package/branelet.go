package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// imitation behaves like branelet of one version of Brane.
type imitation struct{ version string }

// isEarly reports whether the version is 0.4 or 0.5.
func (b imitation) isEarly() bool { return b.version == "0.4" || b.version == "0.5" }

// isPlain reports whether values are plain JSON.
func (b imitation) isPlain() bool { return !strings.HasPrefix(b.version, "0.") }

// Exit codes of branelet itself.
const (
	exitUsage = 2
	exitPanic = 101
)

// failure returns the exit code of branelet's own errors.
func (b imitation) failure() int {
	if b.isEarly() {
		return 1
	}
	return 255
}

// panicked is the error of a Rust program that panics on unexpected input.
type panicked struct{ why string }

func (p panicked) Error() string { return "thread 'main' panicked at '" + p.why + "'" }

// run executes a command line in the environment of the process and returns the exit code.
func (b imitation) run(args []string) int {
	for _, name := range []string{"BRANE_APPLICATION_ID", "BRANE_LOCATION_ID", "BRANE_JOB_ID"} {
		if os.Getenv(name) == "" {
			fmt.Fprintf(os.Stderr, "error: The following required arguments were not provided: %s\n", name)
			return exitUsage
		}
	}
	for name, why := range map[string]string{"BRANE_MOUNT_DFS": "Failed to execute '/juicefs' binary.", "BRANE_CALLBACK_TO": "Could not setup callback connection", "BRANE_PROXY_ADDRESS": "Could not run command 'iptables'"} {
		if os.Getenv(name) != "" {
			fmt.Fprintln(os.Stderr, why)
			return b.failure()
		}
	}
	result, code, err := b.dispatch(args)
	var wrong panicked
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintln(os.Stderr, err)
		return exitPanic
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return b.failure()
	case code != 0:
		return code
	}
	prefix := ""
	if (b.version == "3" || b.version == "4") && os.Getenv("ENABLE_STDOUT_PREFIX") == "1" {
		prefix = "[OUTPUT] "
	}
	fmt.Println(prefix + base64.StdEncoding.EncodeToString(result))
	return 0
}

func (b imitation) dispatch(args []string) (result []byte, code int, err error) {
	kind := "ecu"
	if b.version == "0.4" {
		kind = "code"
	}
	switch {
	case slices.Equal(args, []string{"no-op"}):
		b.log("Reached target 'Completed'")
		return b.nothing(), 0, nil
	case len(args) == 3 && (args[0] == kind || args[0] == "oas" && b.version != "4"):
		return b.call(args[1], args[2])
	}
	return nil, 0, fmt.Errorf("error: Found argument %q which wasn't expected", args)
}

func (b imitation) nothing() []byte {
	if b.isPlain() {
		return []byte("null")
	}
	return []byte(`{"v":"unit"}`)
}

// log writes a line like env_logger at level info; 0.4 and 0.5 write none.
func (b imitation) log(text string) {
	if !b.isEarly() {
		fmt.Fprintf(os.Stderr, "[2022-05-11T12:00:00Z INFO  branelet] %s\n", text)
	}
}

// container is container.yml in the image.
type container struct {
	Name       string
	Kind       string
	Entrypoint struct{ Kind, Exec string }
	Actions    map[string]*action
	Types      map[string]struct {
		Name       string
		Properties []parameter
	}
}

type action struct {
	Command struct {
		Args    []string
		Capture string
	}
	Input, Output []parameter
}

type parameter struct{ Name, Type string }

func (b imitation) call(function, encoded string) (result []byte, code int, err error) {
	arguments, err := b.decode(encoded)
	if err != nil {
		return nil, 0, err
	}
	directory, file := os.Getenv("BRANE_WORKDIR"), "local_container.yml"
	if directory == "" {
		directory = "/opt/wd"
	}
	if b.isEarly() {
		file = "container.yml"
	}
	text, err := os.ReadFile(filepath.Join(directory, file))
	if err != nil {
		return nil, 0, err
	}
	var c container
	if err := yaml.Unmarshal(text, &c); err != nil {
		return nil, 0, err
	}
	a := c.Actions[function]
	if a == nil {
		if b.isEarly() {
			return nil, 0, panicked{fmt.Sprintf("Function '%s' not found", function)}
		}
		return nil, 0, fmt.Errorf("unknown function '%s' in package '%s' (%s)", function, c.Name, c.Kind)
	}
	for _, p := range a.Input {
		argument, found := arguments[p.Name]
		if !found {
			return nil, 0, fmt.Errorf("argument not provided: %s", p.Name)
		}
		if got := b.typeOf(argument); got != p.Type && (!b.isPlain() || got != "any[]") {
			return nil, 0, fmt.Errorf("type check for '%s' failed: '%s' is not '%s' or subtype thereof", p.Name, p.Type, got)
		}
	}
	if _, err := os.Stat(filepath.Join(directory, "init.sh")); err == nil {
		if out, err := exec.Command(filepath.Join(directory, "init.sh")).CombinedOutput(); err != nil {
			return nil, 0, fmt.Errorf("init.sh: %w: %s", err, out)
		}
	}
	b.log("Reached target 'Initialized'")
	program, err := filepath.EvalSymlinks(filepath.Join(directory, c.Entrypoint.Exec)) // "canonicalize"
	if err != nil {
		return nil, 0, err
	}
	env, err := b.environment(arguments)
	if err != nil {
		return nil, 0, err
	}
	output, code, err := b.execute(program, a.Command.Args, env)
	if err != nil || code != 0 {
		return nil, code, err
	}
	result, err = b.result(capture(output, a.Command.Capture), a.Output, c)
	return result, 0, err
}

// decode decodes the arguments and keeps numbers as they are written.
func (b imitation) decode(encoded string) (map[string]any, error) {
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("decoding failed, encoded input doesn't seem to be Base64 encoded: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var arguments map[string]any
	if err := decoder.Decode(&arguments); err != nil {
		return nil, fmt.Errorf("deserialization failed: %w", err)
	}
	return arguments, nil
}

// execute runs the program. 0.4 and 0.5 print its stdout and stderr and ignore its exit code; newer versions keep stderr apart.
func (b imitation) execute(program string, args, env []string) (output string, code int, err error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if b.isEarly() {
		both := io.MultiWriter(os.Stdout, &out)
		cmd.Stdout, cmd.Stderr = both, both
	}
	b.log("Reached target 'Started'")
	err = cmd.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && b.isEarly():
		return out.String(), 0, nil
	case errors.As(err, &ended) && ended.ExitCode() < 0:
		fmt.Fprintln(os.Stderr, "Internal package call was forcefully stopped with signal 9")
		return "", b.failure(), nil
	case errors.As(err, &ended):
		fmt.Fprintf(os.Stderr, "Internal package call return non-zero exit code %d\n\nstdout:\n%s\n\nstderr:\n%s\n", ended.ExitCode(), &out, &errs)
		return "", ended.ExitCode(), nil
	case err != nil:
		return "", 0, err
	}
	b.log("Reached target 'Completed'")
	return out.String(), 0, nil
}

// capture returns the part of the output that has the result.
func capture(output, mode string) string {
	if mode == "" || mode == "complete" {
		return output
	}
	var kept []string
	inside := false
	for lines := bufio.NewScanner(strings.NewReader(output)); lines.Scan(); {
		line := lines.Text()
		rest, prefixed := strings.CutPrefix(line, "~~>")
		switch {
		case mode == "prefixed" && prefixed:
			kept = append(kept, rest)
		case mode == "prefixed":
		case strings.HasPrefix(strings.TrimLeft(line, " "), "--> START CAPTURE"):
			inside = true
		case strings.HasPrefix(strings.TrimLeft(line, " "), "--> END CAPTURE"):
			inside = false
		case inside:
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
)

// witness records the exit code of a package's program, which branelet of Brane 0.4 and 0.5 does not report. Branelet gets another working directory, in which
// every program of the package is the agent. The agent runs the real program from the directory of the package, and records its exit code.
type witness struct {
	directory string // the working directory of branelet; empty if nothing is recorded
	packaged  string
}

// EnvWitness is the directory of the package, for an agent that branelet has started instead of one of the package's programs.
const EnvWitness = "BRANE_WITNESS"

// braneletsOwn lists the files that branelet itself reads or runs, which may be executable as well.
var braneletsOwn = []string{"container.yml", "init.sh"}

// newWitness creates the working directory. at is the directory in which branelet would look for the package.
func (p Paths) newWitness(at string) (witness, error) {
	if at == "" {
		at = branelet.WorkDir
	}
	w := witness{directory: filepath.Join(p.Mount, "package"), packaged: at}
	binary := p.binaryFile()
	err := filepath.WalkDir(at, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return nil // branelet runs as the same user and cannot read it either
		}
		if err != nil {
			return err
		}
		below, err := filepath.Rel(at, name)
		if err != nil {
			return err
		}
		here := filepath.Join(w.directory, below)
		if entry.IsDir() {
			return os.Mkdir(here, 0o755)
		}
		info, err := os.Stat(name) // of the target of a link
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && !slices.Contains(braneletsOwn, below) {
			// Not a symbolic link: branelet follows it, and would run the agent under the agent's name.
			err := os.Link(binary, here)
			if errors.Is(err, fs.ErrPermission) { // the file belongs to the user of the init container
				binary, err = here, copySelf(here)
			}
			return err
		}
		return os.Symlink(name, here) //nolint:gosec // no other process runs in the container yet
	})
	if errors.Is(err, fs.ErrNotExist) {
		return witness{}, nil // branelet will report that there is no package
	}
	if err != nil {
		return witness{}, fmt.Errorf("prepare to record the exit code of the package's program: %w", err)
	}
	return w, nil
}

// witnessEnvironment returns the variables that make branelet run the agent instead of the package's program.
func (w witness) witnessEnvironment() []string {
	if w.directory == "" {
		return nil
	}
	return []string{branelet.EnvWorkDir + "=" + w.directory, EnvWitness + "=" + w.packaged}
}

// programExitCode returns the exit code of the program; false if none was recorded, for example because the package calls a web API.
func (w witness) programExitCode() (int, bool) {
	if w.directory == "" {
		return 0, false
	}
	text, err := os.ReadFile(w.directory + ".exit") // in the agent's own directory
	if err != nil {
		return 0, false
	}
	code, err := strconv.Atoi(string(text))
	return code, err == nil
}

// Witness runs the program of a package if the agent was started instead of it, and returns its exit code; is reports whether that is the case.
func Witness(args []string) (code int, is bool) {
	from, directory := os.Getenv(EnvWitness), os.Getenv(branelet.EnvWorkDir)
	if from == "" || directory == "" || len(args) == 0 {
		return 0, false
	}
	below, err := filepath.Rel(directory, args[0])
	if err != nil || !filepath.IsLocal(below) {
		return 0, false
	}
	code, err = runWitnessed(filepath.Join(from, below), args[1:])
	if err != nil {
		fmt.Fprint(os.Stderr, Message("", err.Error()))
	}
	if err := os.WriteFile(directory+".exit", []byte(strconv.Itoa(code)), 0o600); err != nil {
		fmt.Fprint(os.Stderr, Message("", "record the exit code of the package's program: "+err.Error()))
	}
	return code, true
}

// runWitnessed runs the real program with the arguments, streams and environment of the agent.
func runWitnessed(program string, args []string) (int, error) {
	// The process group receives the signal, so the program decides. The agent catches it, because the program would inherit an ignored signal.
	signal.Notify(make(chan os.Signal, 1), unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); name != EnvWitness && name != branelet.EnvWorkDir {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &ended):
		return startCode(err), fmt.Errorf("start %q: %w", program, startError(err))
	}
	if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignal + int(status.Signal()), nil
	}
	return ended.ExitCode(), nil
}

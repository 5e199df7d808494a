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

// witness sees how a package's program ends, of which branelet of Brane 0.4 and 0.5 does not tell. Branelet is given another working folder, in which
// every program of the package is the agent: that runs the real one in the package's own folder, and writes its exit code down.
type witness struct {
	folder   string // what branelet takes for the package's folder; empty where nothing is seen
	packaged string
}

// EnvWitness tells the agent, started as one of a package's programs, where these really are.
const EnvWitness = "BRANE_WITNESS"

// braneletsOwn are the files that branelet itself reads or runs, some of which may be executable where everything is.
var braneletsOwn = []string{"container.yml", "init.sh"}

// witness makes the folder. at is where branelet would look for the package.
func (p Paths) witness(at string) (witness, error) {
	if at == "" {
		at = branelet.WorkDir
	}
	w := witness{folder: filepath.Join(p.Mount, "package"), packaged: at}
	err := filepath.WalkDir(at, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return nil // branelet, the same user, does not get in either
		}
		if err != nil {
			return err
		}
		below, err := filepath.Rel(at, name)
		if err != nil {
			return err
		}
		here := filepath.Join(w.folder, below)
		if entry.IsDir() {
			return os.Mkdir(here, 0o755)
		}
		info, err := os.Stat(name) // of what a link leads to
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && !slices.Contains(braneletsOwn, below) {
			return os.Link(p.binary(), here) // branelet follows symbolic links, and would run the agent under its own name
		}
		return os.Symlink(name, here) //nolint:gosec // nobody else is in the container yet
	})
	if errors.Is(err, fs.ErrNotExist) {
		return witness{}, nil // branelet will say that there is no package
	}
	if err != nil {
		return witness{}, fmt.Errorf("prepare to see how the package's program ends: %w", err)
	}
	return w, nil
}

// environment is what branelet needs to run the agent instead.
func (w witness) environment() []string {
	if w.folder == "" {
		return nil
	}
	return []string{branelet.EnvWorkDir + "=" + w.folder, EnvWitness + "=" + w.packaged}
}

// code is how the program ended; false where none was run, as where the package calls a web API.
func (w witness) code() (int, bool) {
	text, err := os.ReadFile(w.folder + ".exit") // in the agent's own folder
	if err != nil {
		return 0, false
	}
	code, err := strconv.Atoi(string(text))
	return code, err == nil
}

// Witness runs the program of a package in whose place the agent was started, and returns its exit code; is says whether that is so.
func Witness(args []string) (code int, is bool) {
	from, folder := os.Getenv(EnvWitness), os.Getenv(branelet.EnvWorkDir)
	if from == "" || folder == "" || len(args) == 0 {
		return 0, false
	}
	below, err := filepath.Rel(folder, args[0])
	if err != nil || !filepath.IsLocal(below) {
		return 0, false
	}
	code, err = runWitnessed(filepath.Join(from, below), args[1:])
	if err != nil {
		fmt.Fprint(os.Stderr, Message("", err.Error()))
	}
	if err := os.WriteFile(folder+".exit", []byte(strconv.Itoa(code)), 0o600); err != nil {
		fmt.Fprint(os.Stderr, Message("", "note how the package's program ended: "+err.Error()))
	}
	return code, true
}

// runWitnessed runs the real program with all that the agent was started with.
func runWitnessed(program string, args []string) (int, error) {
	// The program's group has got the signal too: it decides. Caught, not ignored: the program would inherit that.
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

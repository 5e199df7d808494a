//go:build unix

package infra

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestMain also makes the test program the other process, which registers locations in a directory and is killed at a given step.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BRANE_TEST_DIRECTORY"); dir != "" {
		if err := otherProcess(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func otherProcess(dir string) error {
	s := NewDirectoryStore(dir, Version(os.Getenv("BRANE_TEST_VERSION")))
	dieAt, err := strconv.Atoi(os.Getenv("BRANE_TEST_DIE_AT"))
	if err != nil {
		return err
	}
	steps := 0
	s.beforeStep = func(string) {
		if steps++; steps == dieAt {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	from, err := strconv.Atoi(os.Getenv("BRANE_TEST_FROM"))
	if err != nil {
		return err
	}
	for i := from; i < from+10; i++ {
		if err := Register(noTest(), s, numbered(i), kubeconfig); err != nil {
			return err
		}
	}
	return nil
}

// noTest returns the context of the other process, which no test cancels.
func noTest() context.Context { return context.Background() }

func process(t *testing.T, dir string, v Version, from, dieAt int) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "BRANE_TEST_DIRECTORY="+dir, "BRANE_TEST_VERSION="+string(v), fmt.Sprintf("BRANE_TEST_FROM=%d", from), fmt.Sprintf("BRANE_TEST_DIE_AT=%d", dieAt))
	cmd.Stderr = os.Stderr
	return cmd
}

func TestDirectoryStore(t *testing.T) {
	for _, v := range []Version{V04, V05, V06} {
		t.Run("of Brane "+string(v), func(t *testing.T) {
			testStore(t, func(t *testing.T) (func() Store, func(string, string), func() (string, string)) {
				dir := t.TempDir()
				put := func(infra, secrets string) {
					writeFile(t, filepath.Join(dir, infraFile), infra, 0o644)
					writeFile(t, filepath.Join(dir, secretsFile), secrets, 0o600)
				}
				return func() Store { return NewDirectoryStore(dir, v) }, put, func() (string, string) { return content(t, dir, infraFile), content(t, dir, secretsFile) }
			})
		})
	}
}

func writeFile(t *testing.T, path, data string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

func TestDirectoryStoreReplacesFilesForEachVersion(t *testing.T) {
	for v, sameFile := range map[Version]bool{V04: true, V05: true, V06: false} {
		t.Run(string(v), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, infraFile)
			writeFile(t, path, "locations: {}\n", 0o640)
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := Register(t.Context(), NewDirectoryStore(dir, v), golden, kubeconfig); err != nil {
				t.Fatal(err)
			}
			after, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if os.SameFile(before, after) != sameFile || after.Mode() != 0o640 {
				t.Errorf("same file: %v, mode %v", os.SameFile(before, after), after.Mode())
			}
			if info, err := os.Stat(filepath.Join(dir, secretsFile)); err != nil || info.Mode() != 0o600 {
				t.Errorf("%v, mode of the new secrets.yml: %v", err, info.Mode())
			}
			names, err := filepath.Glob(filepath.Join(dir, ".*"))
			if err != nil || len(names) != 1 || filepath.Base(names[0]) != lockFile {
				t.Errorf("%v, left behind: %v", err, names)
			}
		})
	}
}

func TestDirectoryStoreRestrictsWorldReadableSecrets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, secretsFile)
	writeFile(t, path, "a: b\n", 0o664)
	if err := Register(t.Context(), NewDirectoryStore(dir, V06), golden, kubeconfig); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o660 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
}

func TestDirectoryStoreWritesThroughLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(elsewhere, "i.yml"), "locations: {}\n", 0o644)
	if err := os.Symlink(filepath.Join(elsewhere, "i.yml"), filepath.Join(dir, infraFile)); err != nil {
		t.Fatal(err)
	}
	if err := Register(t.Context(), NewDirectoryStore(dir, V06), golden, kubeconfig); err != nil {
		t.Fatal(err)
	}
	if got := content(t, elsewhere, "i.yml"); !strings.Contains(got, "kube") {
		t.Errorf("got\n%s", got)
	}
}

func TestDirectoryStoreNeedsItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	s := NewDirectoryStore(dir, V06)
	if err := Register(t.Context(), s, golden, kubeconfig); !errors.Is(err, ErrNoDirectory) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Read(t.Context()); !errors.Is(err, ErrNoDirectory) {
		t.Errorf("got %v", err)
	}
}

func TestDirectoryStoreWritesSecretsBeforeTheLocationAndRemovesThemAfterIt(t *testing.T) {
	dir := t.TempDir()
	s := NewDirectoryStore(dir, V06)
	var steps []string
	s.beforeStep = func(step string) {
		if name, ok := strings.CutPrefix(step, "rename "); ok {
			steps = append(steps, name)
		}
	}
	if err := Register(t.Context(), s, golden, kubeconfig); err != nil {
		t.Fatal(err)
	}
	if err := Register(t.Context(), s, golden, kubeconfig); err != nil {
		t.Fatal(err)
	}
	if err := Unregister(t.Context(), s, golden.Name, golden.Name); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, " "); got != "secrets.yml infra.yml infra.yml secrets.yml" {
		t.Errorf("got %s", got)
	}
}

func TestTwoProcessesInOneDirectory(t *testing.T) {
	for _, v := range []Version{V04, V06} {
		t.Run(string(v), func(t *testing.T) {
			dir := t.TempDir()
			one, two := process(t, dir, v, 0, 0), process(t, dir, v, 10, 0)
			if err := errors.Join(one.Start(), two.Start()); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(one.Wait(), two.Wait()); err != nil {
				t.Fatal(err)
			}
			wantNumbered(t, NewDirectoryStore(dir, v), 20)
		})
	}
}

// TestDirectoryStoreAfterAKilledWriter kills a process at each step of a registration. The next reader must find the old or the new files, and no location
// without its secret.
func TestDirectoryStoreAfterAKilledWriter(t *testing.T) {
	for _, v := range []Version{V04, V06} {
		t.Run(string(v), func(t *testing.T) {
			before := string(read(t, "infra/crowded.yml"))
			wanted := parse(t, []byte(before))
			if err := wanted.Set(numbered(0)); err != nil {
				t.Fatal(err)
			}
			steps := 0
			place := func(dir string) string {
				writeFile(t, filepath.Join(dir, infraFile), before, 0o644)
				writeFile(t, filepath.Join(dir, secretsFile), "{}\n", 0o600)
				return dir
			}
			counting := NewDirectoryStore(place(t.TempDir()), v)
			counting.beforeStep = func(string) { steps++ }
			if err := Register(t.Context(), counting, numbered(0), kubeconfig); err != nil {
				t.Fatal(err)
			}
			if steps < 6 {
				t.Fatalf("only %d steps to die at", steps)
			}
			outcomes := map[string]int{}
			for dieAt := 1; dieAt <= steps; dieAt++ {
				dir := place(t.TempDir())
				if err := process(t, dir, v, 0, dieAt).Run(); err == nil || err.Error() != "signal: killed" {
					t.Fatalf("step %d: the process ended with %v", dieAt, err)
				}
				r, err := Lookup(t.Context(), NewDirectoryStore(dir, v), numbered(0).Name)
				switch infra := content(t, dir, infraFile); {
				case infra == before && errors.Is(err, ErrNoLocation):
					outcomes["old"]++
				case infra == string(wanted.Bytes()) && err == nil && string(r.Kubeconfig) == string(kubeconfig):
					outcomes["new"]++
				default:
					t.Errorf("step %d: %v\n%s", dieAt, err, infra)
				}
				if left := hiddenFiles(t, dir); len(left) > 0 {
					t.Errorf("step %d: left behind: %v", dieAt, left)
				}
			}
			if outcomes["old"] == 0 || v == V04 && outcomes["new"] == 0 {
				t.Errorf("outcomes: %v", outcomes)
			}
		})
	}
}

func TestParsesVersions(t *testing.T) {
	for text, want := range map[string]Version{"0.4": V04, "0.5.0": V05, "0.6": V06, "0.6.3": V06, "0.7": "", "1.0.0": "", "": "", "0.6.x": ""} {
		got, err := ParseVersion(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

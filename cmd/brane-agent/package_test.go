//go:build linux

package main

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
)

// braneImage returns the content of a Brane package's image: branelet, and the directory of the package.
func braneImage(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if text, err := exec.Command("go", "build", "-o", filepath.Join(root, "branelet"), "../../test/brane-package").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for directory, file := range map[string]string{"tagged": "tagged.yml", "plain": "plain.yml"} {
		description, err := os.ReadFile(filepath.Join("../../test/brane-package/probe", file))
		if err != nil {
			t.Fatal(err)
		}
		// As in real packages, the program is in a subdirectory, behind a link, with a helper and a start script beside it.
		at := filepath.Join(root, directory)
		if err := os.MkdirAll(filepath.Join(at, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(filepath.Join(root, "branelet"), filepath.Join(at, "bin", "real")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("bin/real", filepath.Join(at, "run")); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{
			"container.yml": string(description), "local_container.yml": string(description), "init.sh": "#!/bin/sh\ntouch " + filepath.Join(root, "initialized") + "\n",
		} {
			if err := os.WriteFile(filepath.Join(at, name), []byte(content), 0o700); err != nil { // init.sh is to be run
				t.Fatal(err)
			}
		}
	}
	return root
}

// call runs a function as a step does.
func (r *run) call(image, name string, version branelet.Version, function string, arguments map[string]branelet.Value) result {
	r.t.Helper()
	p := r.pod(name, nil)
	p.step.Brane = version
	directory := "tagged"
	if version >= branelet.V1 {
		directory = "plain"
	}
	p.env = []string{"BRANELET_VERSION=" + string(version), branelet.EnvWorkDir + "=" + filepath.Join(image, directory)}
	for name, value := range version.Environment("application", "location", "job") {
		p.env = append(p.env, name+"="+value)
	}
	args, err := version.Args(branelet.Call{Kind: version.CodeKind(), Function: function, Arguments: arguments})
	if err != nil {
		r.t.Fatal(err)
	}
	if got := p.stage(); got.code != 0 {
		r.t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	return p.run(append([]string{filepath.Join(image, "branelet")}, args...)...)
}

func TestTheResultOfAPackageIsCommitted(t *testing.T) {
	r, image := newRun(t, nil), braneImage(t)
	large := strings.Repeat("x", 700_000) // far more than the kept output
	for _, version := range branelet.Versions() {
		tagged := map[bool]string{true: `{"v":"unicode","c":"`, false: `"`}[version < branelet.V1]
		end := map[bool]string{true: `"}`, false: `"`}[version < branelet.V1]
		for name, tt := range map[string]struct {
			function  string
			arguments map[string]branelet.Value
			want      string
		}{
			"echo":    {"echo", map[string]branelet.Value{"text": branelet.String("日本 <&>")}, tagged + "日本 <&>" + end},
			"noisy":   {"noisy", map[string]branelet.Value{"text": branelet.String("quiet")}, tagged + "quiet" + end},
			"large":   {"large", map[string]branelet.Value{"n": branelet.Integer(len(large))}, tagged + large + end},
			"nothing": {"nothing", nil, map[bool]string{true: `{"v":"unit"}`, false: "null"}[version < branelet.V1]},
		} {
			step := name + "-" + strings.ReplaceAll(string(version), ".", "")
			t.Run(step, func(t *testing.T) {
				got := r.call(image, step, version, tt.function, tt.arguments)
				if got.code != 0 {
					t.Fatalf("ended with %d: %s", got.code, got.stderr)
				}
				record, _ := r.commit(step)
				value, err := version.Decode(record.Result)
				if err != nil {
					t.Fatal(err)
				}
				want, err := version.Decode([]byte(tt.want))
				if err != nil {
					t.Fatal(err)
				}
				one, _ := version.Encode(value) // both were just decoded
				other, _ := version.Encode(want)
				if string(one) != string(other) {
					t.Errorf("got  %.100s\nwant %.100s", one, other)
				}
			})
		}
	}
	if _, err := os.Stat(filepath.Join(image, "initialized")); err != nil {
		t.Error("the package's init.sh was not run:", err)
	}
}

func TestAPackageThatFailsCommitsNothing(t *testing.T) {
	r, image := newRun(t, nil), braneImage(t)
	for name, tt := range map[string]struct {
		version   branelet.Version
		function  string
		arguments map[string]branelet.Value
		code      int
		want      string
	}{
		"hidden-4":  {branelet.V04, "fails", nil, 3, `brane: step "hidden-4": the package's program exited with code 3, which branelet of Brane 0.4 does not report`},
		"hidden-5":  {branelet.V05, "fails", nil, 3, `the package's program exited with code 3, which branelet of Brane 0.5 does not report`},
		"told":      {branelet.V06, "fails", nil, 3, "non-zero exit code 3"},
		"plain":     {branelet.V2, "fails", nil, 3, "non-zero exit code 3"},
		"panic":     {branelet.V04, "crash", nil, 101, "branelet panicked: the program failed, or its output is not the YAML of the outputs that the package declares (exit code 101 of Brane 0.4)"},
		"killed-6":  {branelet.V06, "killed", nil, 255, "branelet failed (its message has the reason), or a signal ended the program (exit code 255 of Brane 0.6)"},
		"missing":   {branelet.V05, "echo", nil, 1, "branelet failed; its message has the reason (exit code 1 of Brane 0.5)"},
		"too-large": {branelet.V06, "large", map[string]branelet.Value{"n": branelet.Integer(branelet.MaxResult)}, agent.ExitNoResult, "branelet of Brane 0.6 exited with code 0, but its result is larger than 1048576 bytes; write large values to files"},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.call(image, name, tt.version, tt.function, tt.arguments)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("ended with %d: %s\nwant %d: %s", got.code, got.stderr, tt.code, tt.want)
			}
			if r.committed(name) {
				t.Error("it was committed")
			}
		})
	}
}

// A command that is not a package, called like one.
func TestACommandWithoutAResultCommitsNothing(t *testing.T) {
	r := newRun(t, nil)
	for _, version := range branelet.Versions() {
		p := r.pod("no-result", nil)
		p.step.Brane = version
		want := `brane: step "no-result": branelet of Brane ` + string(version) + " exited with code 0, but no line of its output is a result\n"
		if got := p.sh("echo hello"); got.code != agent.ExitNoResult || !strings.HasSuffix(got.stderr, want) {
			t.Errorf("Brane %s: ended with %d: %s", version, got.code, got.stderr)
		}
	}
	if r.committed("no-result") {
		t.Error("it was committed")
	}
}

// TestAFileOfThePackageIsNoExitCode checks that only an exit code that the agent has recorded counts, and not a file of the package in the working directory.
func TestAFileOfThePackageIsNoExitCode(t *testing.T) {
	r := newRun(t, nil)
	for _, version := range branelet.Versions() {
		p := r.pod("package-"+strings.ReplaceAll(string(version), ".", ""), nil)
		p.step.Brane, p.env = version, []string{branelet.EnvWorkDir + "=/nowhere"}
		value, err := version.Encode(branelet.String("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.stage(); got.code != 0 {
			t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
		}
		cmd := p.main("/bin/sh", "-c", "printf 7 >.exit; echo "+base64.StdEncoding.EncodeToString(value))
		cmd.Dir = p.data
		if got := finish(t, cmd); got.code != 0 || !r.committed(p.step.Name) {
			t.Errorf("Brane %s: ended with %d: %s", version, got.code, got.stderr)
		}
	}
}

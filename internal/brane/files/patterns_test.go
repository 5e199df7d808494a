package files

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

func TestPatterns(t *testing.T) {
	for name, tt := range map[string]struct {
		patterns Patterns
		yes, no  []string
	}{
		"none choose everything":         {nil, []string{"a", "a/b"}, nil},
		"a name is a file or a folder":   {Patterns{"out"}, []string{"out", "out/x", "out/x/y"}, []string{"output", "x/out", "ou"}},
		"a star stays in its folder":     {Patterns{"*.csv"}, []string{"a.csv", "a.csv/x"}, []string{"d/a.csv", "a.txt"}},
		"two stars go through folders":   {Patterns{"**/*.csv"}, []string{"a.csv", "d/a.csv", "d/e/a.csv"}, []string{"d/a.txt"}},
		"two stars at the end":           {Patterns{"d/**"}, []string{"d/x", "d/x/y", "d"}, []string{"e"}},
		"one of several is enough":       {Patterns{"a", "b/?"}, []string{"a", "b/x"}, []string{"b", "b/xy"}},
		"two stars between":              {Patterns{"a/**/z"}, []string{"a/z", "a/b/c/z"}, []string{"a/b/c"}},
		"a class of characters is known": {Patterns{"part.[0-3]"}, []string{"part.0"}, []string{"part.4"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range tt.yes {
				if !tt.patterns.Match(path) {
					t.Errorf("%q is not chosen", path)
				}
			}
			for _, path := range tt.no {
				if tt.patterns.Match(path) {
					t.Errorf("%q is chosen", path)
				}
			}
		})
	}
	for pattern, want := range map[string]string{
		"[":     `pattern "[": syntax error in pattern`,
		"/data": `pattern "/data": path "/data" is absolute; it must be relative to the root of the files`,
		"../x":  `pattern "../x": path "../x" points outside the files`,
		"":      `pattern "": an empty path names no file`,
		"out/*": "<nil>",
	} {
		if err := (Patterns{pattern}).Check(); fmt.Sprint(err) != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestMayMeet(t *testing.T) {
	for _, tt := range []struct {
		one, other string
		want       bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "a/b", true}, {"a/b", "a/c", false}, {"a/b/c", "a/b", true},
		{"*.txt", "a.txt", true}, {"*.txt", "a.csv", false}, {"*.txt", "a*", true}, {"a?", "ab", true}, {"a?", "b", false},
		{"**/x", "a/b/x", true}, {"**/x", "a", true}, {"corpus/**", "parts/*", false}, {"corpus/**", "**/alice.txt", true}, {"a/**/z", "b/**", false}, {"**", "a", true},
	} {
		if one, other := MayMeet(tt.one, tt.other), MayMeet(tt.other, tt.one); one != tt.want || other != tt.want {
			t.Errorf("%q and %q: %v, and the other way round %v", tt.one, tt.other, one, other)
		}
	}
}

// FuzzMayMeet checks that MayMeet is true for two patterns that select the same path.
func FuzzMayMeet(f *testing.F) {
	f.Add("corpus/**", "*/alice.txt", "corpus/alice.txt")
	f.Add("a[0-9]", `a\1/**`, "a1/x")
	f.Add("**/**/b", "a", "a/b")
	f.Fuzz(func(t *testing.T, one, other, name string) {
		if (Patterns{one, other}).Check() != nil || CheckPath(name) != nil {
			return
		}
		if (Patterns{one}).Match(name) && (Patterns{other}).Match(name) && !MayMeet(one, other) {
			t.Errorf("%q is chosen by %q and by %q, which cannot meet", name, one, other)
		}
	})
}

// TestReadsAndWrites checks that a step sees only what it reads and changes only what it writes, and that everything else stays as it was.
func TestReadsAndWrites(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "narrow")
	for name, tt := range map[string]struct {
		reads, writes Patterns
		script        string
		want          []string // path@writer
	}{
		"all is read and written": {
			nil, nil, "echo x >in/new; rm in/a",
			[]string{"in@", "in/b@", "in/new@step", "other@", "other/c@"},
		},
		"what is not read is not there, and stays": {
			Patterns{"in"}, nil, "test ! -e other && echo x >new",
			[]string{"in@", "in/a@", "in/b@", "new@step", "other@", "other/c@"},
		},
		"what is not read may be written over": {
			Patterns{"in"}, nil, "mkdir other; echo x >other/c",
			[]string{"in@", "in/a@", "in/b@", "other@step", "other/c@step"},
		},
		"a folder that the step did not see is made, on the way to what is written": {
			Patterns{"in"}, Patterns{"other/d"}, "mkdir other; echo x >other/d; echo y >other/c",
			[]string{"in@", "in/a@", "in/b@", "other@step", "other/c@", "other/d@step"},
		},
		"a folder that the step did not see may not be written": {
			Patterns{"in"}, Patterns{"out"}, "mkdir other; chmod 700 other; echo x >out",
			[]string{"in@", "in/a@", "in/b@", "other@", "other/c@", "out@step"},
		},
		"a file where the step did not see a folder": {
			Patterns{"in"}, nil, "echo x >other",
			[]string{"in@", "in/a@", "in/b@", "other@step"},
		},
		"only what is written is kept": {
			nil, Patterns{"out"}, "mkdir out tmp; echo x >out/x; echo y >tmp/y; echo z >in/a; rm in/b; mkfifo tmp/p",
			[]string{"in@", "in/a@", "in/b@", "other@", "other/c@", "out@step", "out/x@step"},
		},
		"a folder on the way to what is written is kept": {
			nil, Patterns{"deep/*/x"}, "mkdir -p deep/er deep/est; echo x >deep/er/x",
			[]string{"deep@step", "deep/er@step", "deep/er/x@step", "in@", "in/a@", "in/b@", "other@", "other/c@"},
		},
		"a folder in place of a file that may not change": {
			nil, Patterns{"out"}, "rm in/a; mkdir in/a; echo x >in/a/x; echo >out",
			[]string{"in@", "in/a@", "in/b@", "other@", "other/c@", "out@step"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			layer, err := s.PutInputs(ctx, map[string]Source{"in/a": {Content: []byte("a")}, "in/b": {Content: []byte("b")}, "other/c": {Content: []byte("c")}})
			if err != nil {
				t.Fatal(err)
			}
			tree, err := s.Tree(ctx, layer)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			staged, err := stage(ctx, t, s, tree, tt.reads, dir)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/bin/sh", "-ec", tt.script) // from the table
			cmd.Dir, cmd.Stderr = dir, os.Stderr
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			layer, err = snapshotLayer(ctx, s, dir, staged, tt.writes, "step")
			if err != nil {
				t.Fatal(err)
			}
			if tree, err = s.Tree(ctx, layer); err != nil {
				t.Fatal(err)
			}
			var got []string
			for e := range tree.All() {
				got = append(got, e.Path+"@"+e.By)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("the step leaves\n%q, want\n%q", got, tt.want)
			}
			// Everything in the manifest can be read.
			if err := restored(t, s, tree, t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

package report_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/braneframework/terraform-provider-brane/internal/brane/report"
)

var (
	update = flag.Bool("update", false, "rewrite the golden files")
	pages  = flag.String("pages", "", "directory into which all samples are written, for the browser of test/browser")
)

func write(t *testing.T, run report.Run) string {
	t.Helper()
	var page bytes.Buffer
	if err := report.Write(&page, run); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// TestGolden compares the whole page of a run that succeeded and of one that failed.
func TestGolden(t *testing.T) {
	for _, name := range []string{"small", "failed"} {
		golden := filepath.Join("testdata", name+".html")
		page := write(t, samples()[name])
		if *update {
			must(t, os.WriteFile(golden, []byte(page), 0o600))
		}
		want, err := os.ReadFile(golden)
		must(t, err)
		if diff := cmp.Diff(string(want), page); diff != "" {
			t.Errorf("%s (go test -update rewrites it):\n%s", golden, diff)
		}
	}
}

// TestSamples checks that each page shows each step once, and that every link has a target on the page. With -pages it writes the pages for
// a browser.
func TestSamples(t *testing.T) {
	for name, run := range samples() {
		t.Run(name, func(t *testing.T) {
			page := write(t, run)
			if *pages != "" {
				must(t, os.WriteFile(filepath.Join(*pages, name+".html"), []byte(page), 0o600))
			}
			for i := range run.Steps {
				if got := strings.Count(page, fmt.Sprintf(`id="step-%d"`, i)); got != 1 {
					t.Errorf("step %d is shown %d times", i, got)
				}
			}
			for _, link := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
				id, isHere := strings.CutPrefix(link[1], "#")
				if link[1] != "data:," && (!isHere || !strings.Contains(page, `id="`+id+`"`)) {
					t.Errorf("link %q has no target on the page", link[1])
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPageContent(t *testing.T) {
	long := step("long", 1, 2)
	for i := range 200 {
		long.Files = append(long.Files, report.File{Path: fmt.Sprintf("part-%03d", i), Size: 1 << 20})
	}
	long.Log = strings.Repeat("one line of many\n", 10_000)
	counted := step("counted", 1, 2)
	counted.Files, counted.FileCount, counted.FileSize = long.Files[:50], 1_000_000, 3<<40
	again := step("again", 1, 2)
	again.Attempts, again.Code, again.Status = 3, new(4), report.Failed
	reused := step("reused", -4000, -3990)
	reused.Reused = true
	for name, tt := range map[string]struct {
		run       report.Run
		want, not []string
	}{
		"many files: the first, and the number of others": {
			run("r", long), []string{"Files written: 200 files, 200.0 MiB", "part-049", "and 150 more"}, []string{"part-050"},
		},
		"files that are not listed are counted": {
			run("r", counted), []string{"Files written: 1000000 files, 3.0 TiB", "and 999950 more"}, nil,
		},
		"long output: its end, from the beginning of a line": {
			run("r", long), []string{"End of the output", "<pre tabindex=\"0\">one line of many\n"}, []string{strings.Repeat("one line of many\n", 1000)},
		},
		"attempts and exit code": {
			run("r", again), []string{"<dt>Attempts</dt><dd>3</dd>", "<dt>Exit code</dt><dd>4</dd>", `class="step failed" id="step-0" open`}, nil,
		},
		"a reused step has no bar, and the time of the run is that of the others": {
			run("r", reused, step("s", 1, 2)), []string{"2 steps, 1 with the result of an earlier execution in 1.9 s", ">reused</span>", "<dt>Result</dt><dd>of an earlier execution"}, []string{`x="-`, "1 h"},
		},
		"all steps are reused": {
			run("r", reused), []string{"1 step, 1 with the result of an earlier execution</p>"}, []string{"NaN", `x="-`},
		},
		"exit code 0 is shown": {
			run("r", step("s", 1, 2)), []string{"<dt>Exit code</dt><dd>0</dd>"}, nil,
		},
		"unknown values are not shown": {
			run("r", report.Step{Name: "s", Status: report.Skipped}), []string{"0 of 1 step succeeded, 1 skipped"}, []string{"Exit code", "Attempts", "Started", "0001", "Graph", "NaN"},
		},
		"many indexes: those that have not succeeded, and the first others": {
			parts(), []string{"<span class=\"name\">0 chromosome 0</span>", "211 chromosome 211 (3 attempts)", "299 chromosome 299", "and 200 more"}, []string{"chromosome 120"},
		},
		"a run of zero duration": {
			run("r", step("s", 1.9, 1.9)), []string{"0 ms"}, []string{"NaN", "Inf%"},
		},
		"a clock that ran backwards": {
			run("r", report.Step{Name: "s", Started: after(9), Ended: after(2), Made: after(20)}), nil, []string{"NaN", "-1 m", `width="-`},
		},
		"colours and overwritten lines of a terminal are removed": {
			run("r", report.Step{Name: "s", Log: "\x1b[1;31mred\x1b[0m\n 10%\r 99%\rdone\nbell\x07\u202eback"}), []string{"red\ndone\nbell\\u0007\\u202eback</pre>"}, []string{"10%", "\x1b", "[31m"},
		},
		"why the run could not be completed": {
			stopped(), []string{"What went wrong", "connection refused"}, nil,
		},
		"a graph of too many different steps is not drawn": {
			run("r", manyPairs(600)...), []string{"too many different steps"}, []string{"<svg class=\"graph\""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			page := write(t, tt.run)
			for _, want := range tt.want {
				if !strings.Contains(page, want) {
					t.Errorf("there is no %q in\n%s", want, body(page))
				}
			}
			for _, not := range tt.not {
				if strings.Contains(page, not) {
					t.Errorf("there is %q in\n%s", not, body(page))
				}
			}
		})
	}
}

// body returns what follows the style, shortened for a terminal.
func body(page string) string {
	_, page, _ = strings.Cut(page, "</style>")
	return page[:min(len(page), 3000)]
}

func manyPairs(n int) []report.Step {
	var steps []report.Step
	for i := range n {
		name := fmt.Sprintf("n%d", i)
		steps = append(steps, step(name, 1, 2), step(name+"-then", 3, 4, name))
	}
	return steps
}

// TestHostileTextsStayTexts checks that no text of a run becomes a tag, an attribute, a link or a script.
func TestHostileTextsStayTexts(t *testing.T) {
	page := write(t, hostile())
	harmless := write(t, harmlessly(hostile()))
	if got, want := tags(page), tags(harmless); got != want {
		t.Errorf("the texts have changed the structure of the page:\n%s", cmp.Diff(want, got))
	}
	if strings.ContainsAny(page, "\x00\x07\x08\x1b\u202e") {
		t.Error("the page contains a control character")
	}
}

// harmlessly replaces every text by letters.
func harmlessly(r report.Run) report.Run {
	r.ID, r.Name, r.Infrastructure, r.Namespace, r.Problem, r.Status = "x", "x", "x", "x", "x", "x"
	names := map[string]string{}
	for i, s := range r.Steps {
		names[s.Name] = fmt.Sprintf("x%d", i)
		for n, need := range s.Needs {
			s.Needs[n] = names[need]
		}
		s.Name, s.Image = names[s.Name], "x"
		if s.Status != report.Succeeded {
			s.Status = "x"
		}
		for _, text := range []*string{&s.Failure, &s.Note, &s.Log} {
			if *text != "" {
				*text = strings.Repeat("x", len(*text))
			}
		}
		for n := range s.Files {
			s.Files[n].Path = "x"
		}
		for n := range s.Parts {
			s.Parts[n].Item, s.Parts[n].Status = "x", "x"
		}
		r.Steps[i] = s
	}
	return r
}

var (
	tag    = regexp.MustCompile(`<[^>]*>`)
	number = regexp.MustCompile(`"(translate\()?[0-9MLC. -]+\)?"`)
)

// tags returns the tags of a page with their attributes, without numbers, which depend on the lengths of names.
func tags(page string) string {
	return number.ReplaceAllString(strings.Join(tag.FindAllString(page, -1), "\n"), `"#"`)
}

// FuzzWrite checks that no text changes the structure of the page, and that no time or size breaks it.
func FuzzWrite(f *testing.F) {
	f.Add("split", "one\ntwo", "out/words", int64(1), int64(2), int64(3), "succeeded")
	f.Add(nasty, "\x1b[31m"+nasty, nasty, int64(-1), int64(1)<<62, int64(0), nasty)
	f.Add("<", "&lt;", "'", int64(1)<<62, int64(-1)<<62, int64(1), "failed")
	f.Fuzz(func(t *testing.T, name, text, file string, made, started, ended int64, status string) {
		at := func(ns int64) time.Time { return begin.Add(time.Duration(ns)) }
		with := func(name, text, file string) string {
			first := report.Step{
				Name: "a" + name, Image: "i" + name, Made: at(made), Started: at(started), Ended: at(ended), Status: report.Status(status),
				Log: "l" + text, Failure: "f" + text, Note: "n" + text, Files: []report.File{{Path: file, Size: made}}, FileCount: int(ended % 1000),
			}
			second := step("b"+name, 1, 2, "a"+name)
			return write(t, report.Run{ID: name, Name: name, Problem: "p" + text, Status: "s", Steps: []report.Step{first, second}, Written: at(started)})
		}
		page := with(name, text, file)
		if got, want := tags(page), tags(with("", "", "")); got != want {
			t.Errorf("the texts have changed the structure of the page:\n%s", cmp.Diff(want, got))
		}
		for _, not := range []string{"NaN%", "Inf%", `width="-`, "\x00", "\x1b"} {
			if strings.Contains(page, not) {
				t.Errorf("there is %q in\n%s", not, body(page))
			}
		}
	})
}

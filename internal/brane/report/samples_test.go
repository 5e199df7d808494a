package report_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/report"
)

var begin = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

func after(seconds float64) time.Time {
	return begin.Add(time.Duration(seconds * float64(time.Second)))
}

// stepDetails returns a step that ran from one second to another; its Job was created 0.9 s before.
func step(name string, from, to float64, needs ...string) report.Step {
	return report.Step{
		Name: name, Image: "registry.example.org/tools:1.4", Needs: needs, Status: report.Succeeded,
		Made: after(from - 0.9), Started: after(from), Ended: after(to), Attempts: 1, Code: new(0),
	}
}

func run(name string, steps ...report.Step) report.Run {
	return report.Run{
		ID: name + "-3f9a1c0227d5e8b4", Name: name, Infrastructure: "compute", Namespace: "brane-runs", Status: report.Succeeded, Written: after(3600), Steps: steps,
	}
}

// samples returns the runs whose pages are checked, here and in a browser.
func samples() map[string]report.Run {
	return map[string]report.Run{
		"small": small(), "failed": failed(), "one": run("one", step("only", 1, 2)), "hostile": hostile(), "thirty": thirty(), "fan-out": fanOut(), "chain": chain(), "field": field(), "parts": parts(),
		"stopped": stopped(), "nothing": {Name: "nothing", ID: "nothing-1", Status: report.Stopped, Problem: "the API server does not answer"},
	}
}

func small() report.Run {
	split, count, merge := step("split", 1.2, 2.1), step("count", 3, 7.4, "split"), step("merge", 8.2, 8.6, "count", "split")
	split.Files = []report.File{{Path: "parts/1.txt", Size: 48211}, {Path: "parts/2.txt", Size: 51999}}
	count.Log = "counting parts/1.txt\ncounting parts/2.txt\n100801 words\n"
	count.Files = []report.File{{Path: "counts.json", Size: 812}}
	count.Attempts = 2
	merge.Files = []report.File{{Path: "words", Size: 7}}
	r := run("wordcount", split, count, merge)
	r.Outputs = []report.File{{Path: "words", Size: 7}}
	return r
}

func failed() report.Run {
	fetch, align, filter, plot := step("fetch", 1, 4), step("align", 5, 31, "fetch"), step("filter", 5.1, 0, "fetch"), step("plot", 0, 0, "align", "filter")
	align.Status, align.Code = report.Failed, new(137)
	align.Log = "reading 214 sequences\naligning …\nsort: cannot allocate memory\n"
	align.Failure = "Job brane-align-7c1e-align in namespace brane-runs, pod brane-align-7c1e-align-x2x9p on node n3: the command failed with exit code 137 (OOMKilled).\n\n" +
		"Last lines:\n  aligning …\n  sort: cannot allocate memory\n\nThe command needs more memory than its limit: kubectl -n brane-runs describe job/brane-align-7c1e-align"
	filter.Status, filter.Ended, filter.Code = report.Stopped, time.Time{}, nil
	plot.Status, plot.Made, plot.Started, plot.Ended, plot.Code, plot.Attempts = report.Skipped, time.Time{}, time.Time{}, time.Time{}, nil, 0
	r := run("align", fetch, align, filter, plot)
	r.Status = report.Failed
	return r
}

func stopped() report.Run {
	r := run("night", step("load", 1, 5), step("train", 6, 0, "load"))
	r.Status, r.Problem = report.Stopped, "read the commits of run \"night-3f9a1c0227d5e8b4\": dial tcp 192.0.2.7:6379: connect: connection refused"
	r.Steps[1].Status, r.Steps[1].Ended, r.Steps[1].Code = report.Stopped, time.Time{}, nil
	return r
}

const nasty = `</script></style></title><script>document.title="owned"</script><img src="https://evil.example/x" onerror="document.title='owned'">" onload="x" '` + "`" + `{{.Name}}`

// hostile returns a run whose texts are tags, attributes or terminal commands elsewhere.
func hostile() report.Run {
	first, second := step(nasty, 1, 2), step("second"+nasty, 3, 4, nasty, "nobody")
	first.Image, first.Log = "javascript:alert(1)//"+nasty, "\x1b[31mred\x1b[0m \x1b]0;title\x07 50%\r100%\r\n"+nasty+"\x00\x08\u202eesrever\xff\n"+strings.Repeat("long ", 200)+strings.Repeat("x", 3000)
	first.Files = []report.File{{Path: "a/" + nasty, Size: 1}, {Path: "\xff\xfe\n\u202e" + strings.Repeat("deep/", 300), Size: 1 << 62}}
	first.Parts = []report.Part{{Index: 1 << 40, Item: nasty, Status: report.Status(nasty), Started: after(1), Ended: after(2)}, {Index: -1, Item: "\x00\u202e", Attempts: 1 << 40}}
	second.Status, second.Failure, second.Note = report.Status(nasty), nasty, nasty
	r := run(nasty, first, second)
	r.ID, r.Infrastructure, r.Namespace, r.Problem, r.Status = nasty, nasty, nasty, nasty, report.Status(nasty)
	r.Outputs = first.Files
	return r
}

// thirty returns a typical pipeline of 30 steps: five samples that each pass through the same four steps, then common last steps.
func thirty() report.Run {
	steps := []report.Step{step("reference", 1, 6), step("index", 7, 19, "reference")}
	var called []string
	for i := range 6 {
		at := float64(i)
		sample := func(what string) string { return fmt.Sprintf("%s-sample-%c", what, 'a'+i) }
		steps = append(steps,
			step(sample("fetch"), 1+at, 9+2*at), step(sample("trim"), 10+2*at, 16+3*at, sample("fetch")),
			step(sample("align"), 20+3*at, 41+4*at, sample("trim"), "index"), step(sample("call"), 43+4*at, 60+5*at, sample("align")))
		called = append(called, sample("call"))
	}
	steps = append(steps, step("merge", 87, 95, called...), step("annotate", 96, 120, "merge", "reference"), step("statistics", 96, 101, "merge"), step("publish", 121, 123, "annotate", "statistics"))
	steps[len(steps)-3].Log = strings.Repeat("annotated another thousand of the variants\n", 800)
	for i := range 120 {
		steps[len(steps)-3].Files = append(steps[len(steps)-3].Files, report.File{Path: fmt.Sprintf("annotated/chromosome-%03d.vcf.gz", i), Size: int64(i) * 191_919})
	}
	return run("variants", steps...)
}

// fanOut returns 300 steps, 298 of which are similar; one has failed.
func fanOut() report.Run {
	steps := []report.Step{step("split", 1, 12)}
	var shards []string
	for i := range 298 {
		s := step(fmt.Sprintf("shard-%03d", i), 13+float64(i)/4, 25+float64(i)/4+float64(i%7), "split")
		if i == 211 {
			s.Status, s.Code, s.Failure = report.Failed, new(1), "the command failed with exit code 1 (Error)"
		}
		steps, shards = append(steps, s), append(shards, s.Name)
	}
	merge := step("merge", 0, 0, shards...)
	merge.Status, merge.Made, merge.Started, merge.Ended, merge.Code, merge.Attempts = report.Skipped, time.Time{}, time.Time{}, time.Time{}, nil, 0
	r := run("shards", append(steps, merge)...)
	r.Status = report.Failed
	return r
}

// fanOutRows returns a run with a step of 300 indexes, one of which failed at its third attempt.
func parts() report.Run {
	shards := step("shards", 2, 90, "split")
	shards.Status, shards.Code, shards.Attempts = report.Failed, new(1), 3
	for i := range 300 {
		part := report.Part{Index: i, Item: fmt.Sprintf("chromosome %d", i), Status: report.Succeeded, Started: after(2 + float64(i)/4), Ended: after(12 + float64(i)/4), Attempts: 1}
		switch {
		case i == 211:
			part.Status, part.Attempts = report.Failed, 3
		case i > 290:
			part = report.Part{Index: i, Item: part.Item, Status: report.Skipped}
		}
		shards.Parts = append(shards.Parts, part)
	}
	r := run("parts", step("split", 1, 2), shards)
	r.Status = report.Failed
	return r
}

// chain returns 300 consecutive steps.
func chain() report.Run {
	steps := []report.Step{step("step-000", 1, 1.8)}
	for i := 1; i < 300; i++ {
		steps = append(steps, step(fmt.Sprintf("step-%03d", i), 1+float64(i)*1.7, 1.8+float64(i)*1.7, fmt.Sprintf("step-%03d", i-1)))
	}
	return run("chain", steps...)
}

// field returns 300 steps with random needs.
func field() report.Run {
	random := rand.New(rand.NewPCG(1, 2))
	var steps []report.Step
	for i := range 300 {
		var needs []string
		for range random.IntN(3) {
			if i > 0 {
				needs = append(needs, fmt.Sprintf("n%03d", random.IntN(i)))
			}
		}
		steps = append(steps, step(fmt.Sprintf("n%03d", i), 1+float64(i), 9+float64(i), needs...))
	}
	return run("field", steps...)
}

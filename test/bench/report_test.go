package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclparse"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 2, 9}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestExponent(t *testing.T) {
	for name, c := range map[string]struct {
		costs map[float64]float64
		sizes []float64
		want  float64
	}{
		"constant":                {map[float64]float64{10: 7, 100: 7, 1000: 7}, []float64{10, 100, 1000}, 0},
		"linear":                  {map[float64]float64{10: 20, 100: 200, 1000: 2000}, []float64{10, 100, 1000}, 1},
		"quadratic":               {map[float64]float64{10: 1, 100: 100}, []float64{10, 100}, 2},
		"linear after a high fee": {map[float64]float64{10: 100, 100: 100, 1000: 1000}, []float64{10, 100, 1000}, 1},
		"flat at the end":         {map[float64]float64{10: 1, 100: 100, 1000: 100}, []float64{10, 100, 1000}, 1},
	} {
		one := &curve{}
		for _, size := range c.sizes {
			one.add(int(size), []float64{c.costs[size] / 10, c.costs[size], c.costs[size] * 10})
		}
		if got := one.exponent(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: the exponent is %v, want %v", name, got, c.want)
		}
	}
}

func TestRatiosAreWithinARound(t *testing.T) {
	s := samples{"run": {2, 20, 4}, "plain": {1, 10, 4}} // the second round was disturbed
	if diff := cmp.Diff([]float64{2, 2, 1}, s.divideRounds("run", "plain")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{4, 40, 8}, s.scaleRounds("run", 2)); diff != "" {
		t.Error(diff)
	}
}

func TestRepeatRounds(t *testing.T) {
	for name, c := range map[string]struct {
		patience time.Duration
		want     int
	}{
		"five rounds":                     {time.Hour, 5},
		"one round, if it takes too long": {0, 1},
	} {
		s, err := (&report{rounds: 5}).repeatRounds(name, c.patience, func(s samples) error {
			s.add("value", 1)
			return nil
		})
		if err != nil || len(s["value"]) != c.want {
			t.Errorf("%s: %d rounds, error %v", name, len(s["value"]), err)
		}
	}
	broken := errors.New("the cluster is gone")
	if _, err := (&report{rounds: 5}).repeatRounds("broken", time.Hour, func(samples) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the error of a round is %v", err)
	}
}

func TestFormatFigure(t *testing.T) {
	for figure, want := range map[float64]string{0: "0", 7: "7", 0.123: "0.12", 9.999: "10.00", 12.34: "12.3", 1234.5: "1234", -0.5: "-0.50"} {
		if got := formatFigure(figure); got != want {
			t.Errorf("%v is %q, want %q", figure, got, want)
		}
	}
}

// newSample returns a report with a measurement of each kind.
func newSample() *report {
	r := &report{
		Part: "namespaces", Began: time.Date(2026, 12, 1, 20, 0, 0, 0, time.UTC), Seconds: 61,
		Machine: machine{Processor: "CPU", Cores: 2, Memory: "24 GiB", Kernel: "6.1", Load: "0.20", Versions: []string{"commit a", "go 1.26.8"}},
	}
	r.add("plan", "API requests", []float64{20, 20, 21}, withUpperLimit(25), withPeer("other", []float64{1200, 1300}))
	r.add("plan", "s", []float64{1.5}, withPeer("other", nil))
	r.add("put", "× SET", []float64{0.4, 0.5, 0.6}, withLowerLimit(0.55), withReason("the disk is slow"))
	c := &curve{Plot: "plans by size", Size: "namespaces", Name: "API requests <brane>"}
	c.add(10, []float64{90, 100, 120})
	c.add(100, []float64{1000})
	r.addCurve(c, withUpperLimit(1.1))
	return r
}

func TestTable(t *testing.T) {
	want := `Measurement                                           Unit           Median  Min–max    Rounds  Limit   Met  other             ` + `
plan                                                  API requests   20      20–21      3       ≤ 25    yes  1250 (1200–1300)  ` + `
plan                                                  s              1.50               1                                      ` + `
put                                                   × SET          0.50    0.40–0.60  3       ≥ 0.55  no                     ` + `
plans by size: exponent of API requests <brane>       by namespaces  1                  1       ≤ 1.1   yes                    ` + `
`
	var got strings.Builder
	if err := newSample().printTable(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(strings.Fields(want), " "), strings.Join(strings.Fields(got.String()), " ")); diff != "" {
		t.Error(diff)
	}
	if newSample().isKept() {
		t.Error("a limit is missed, and all are said to be kept")
	}
}

// TestPage writes the page of one part, and reads the plot.
func TestPage(t *testing.T) {
	reports, docs := t.TempDir(), t.TempDir()
	if err := newSample().saveJSON(reports); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(docs, "performance", "old.svg")
	if err := errors.Join(os.Mkdir(filepath.Dir(stale), 0o700), os.WriteFile(stale, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := writePage(reports, docs); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| [Namespaces](#namespaces) | 2026-12-01 20:00 UTC, 61 s | 1 | CPU, 2 cores, 24 GiB, Linux 6.1 | 0.20 | commit a, go 1.26.8 |\n",
		"| Files | not measured | | | | |\n",
		"| plan | API requests | 20 | 20–21 | 3 | ≤ 25 | yes | 1250 (1200–1300) |\n",
		"The limit of \"put\", × SET: the disk is slow.\n",
		"\n![plans by size](performance/plans-by-size.svg)\n",
		"and no cache on disk.\n\nNot measured in the latest run.\n\n## Runs\n",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not contain %q:\n%s", want, page)
		}
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Error("the plot of an earlier run is still there")
	}
	plot, err := os.ReadFile(filepath.Join(docs, "performance", "plans-by-size.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for decoder := xml.NewDecoder(strings.NewReader(string(plot))); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v\n%s", err, plot)
		}
	}
	// From 10 to 100 namespaces and from 50 to 1000 requests; the pixels of y grow downwards.
	for _, want := range []string{`points="70.0,289.0 510.0,20.0 "`, `y1="301.3" x2="70.0" y2="267.7"`, "API requests &lt;brane&gt;: size^1.00</text>"} {
		if !strings.Contains(string(plot), want) {
			t.Errorf("the plot does not contain %q:\n%s", want, plot)
		}
	}
}

func TestNewAxis(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   axis
	}{
		{[]float64{10, 100}, axis{10, 100, 0, 1}},
		{[]float64{0.3, 70}, axis{0.2, 100, 0, 1}},
		{[]float64{7}, axis{5, 10, 0, 1}},
		{[]float64{1}, axis{1, 2, 0, 1}},
	} {
		if got := newAxis(c.values, 0, 1); cmp.Diff(c.want, got, cmp.AllowUnexported(axis{})) != "" {
			t.Errorf("the axis of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for said, want := range map[string]string{
		"Terraform v1.11.4\non linux_amd64\n":                                        "Terraform 1.11.4",
		"OpenTofu v1.12.0\non linux_amd64":                                           "OpenTofu 1.12.0",
		"Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=a": "Redis 7.0.15",
		"go version go1.26.8 linux/amd64\n":                                          "go 1.26.8",
		"3bb595c-dirty\n":                                                            "3bb595c-dirty",
	} {
		if got := parseVersion(said); got != want {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
	}
}

// TestPeerConfigurations parses the configurations of the peer, which only a binary of it can validate.
func TestPeerConfigurations(t *testing.T) {
	for name, configuration := range map[string]string{"namespaces": peerNamespaceConfiguration, "chain": renderPeerChain()} {
		text := strings.NewReplacer("%q", `"https://198.51.100.10"`).Replace(configuration)
		if _, problems := hclparse.NewParser().ParseHCL([]byte(text), name); problems.HasErrors() {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

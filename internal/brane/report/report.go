// Package report writes what became of a run as one HTML page: its graph, a timeline, and of each step what it left and the end of its output. The page is
// whole in itself: no script, no font, no picture and no style from elsewhere, so it may be mailed, archived or opened where there is no network.
//
// It is a pure function from values to text. It knows nothing of Terraform, Kubernetes and Redis; who calls it has taken secrets out of the texts. Everything
// else it is told is treated as hostile: names, paths and output come from programs.
package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's style
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

// Run is what is told of a run.
type Run struct {
	ID             string
	Name           string
	Infrastructure string
	Namespace      string
	Status         Status
	Problem        string    // why the run could not be carried to its end, where that is no single step's matter
	Written        time.Time // when the report was
	Steps          []Step    // each after those that it needs
	Outputs        []File    // what the run was declared to leave
}

// Step is what is told of a step. Moments that are not known are zero.
type Step struct {
	Name      string
	Image     string
	Needs     []string // names of earlier steps; others are left out
	Status    Status
	Made      time.Time // when its Job was
	Started   time.Time // when its program did
	Ended     time.Time
	Attempts  int  // 0 where nobody has counted
	Code      *int // exit code of the program, nil where it has none
	Failure   string
	Files     []File // what it wrote
	FileCount int    // of all files it wrote, where that is more than Files tells; their size in all is FileSize
	FileSize  int64
	Log       string // the end of its output
	Note      string // why something of the above is not known
	Parts     []Part // of a step that is many, by their indices
}

// Part is what is told of one of a step that is many.
type Part struct {
	Index    int
	Item     string // what it is about; empty where its index says all
	Status   Status
	Started  time.Time
	Ended    time.Time
	Attempts int
}

// File is a file that a step wrote.
type File struct {
	Path string
	Size int64
}

// Status is how a run or a step ended. Any other word is shown as it is, in no colour.
type Status string

// How a run or a step can end.
const (
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Stopped   Status = "stopped"
	Skipped   Status = "skipped"
)

// MaxFiles, MaxParts and MaxLog bound what is told of one step, so that the page of hundreds of steps still opens at once.
const (
	MaxFiles = 50
	MaxParts = 100
	MaxLog   = 16 << 10
)

//go:embed page.css
var styleText string

// The policy names the style by its digest and allows nothing else: should a hostile text ever pass the escaping, a browser still runs and loads nothing.
var policy = fmt.Sprintf("default-src 'none'; img-src data:; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", digest(styleText))

// Write writes the page.
func Write(w io.Writer, run Run) error {
	var text bytes.Buffer
	if err := page(newView(run)).Render(&text); err != nil {
		return fmt.Errorf("write the report of run %q: %w", run.ID, err)
	}
	_, err := text.WriteTo(w)
	return err
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

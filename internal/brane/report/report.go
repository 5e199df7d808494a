// Package report writes the result of a run as one HTML page: its graph, a timeline, and for each step the files it wrote and the end of
// its output. The page is self-contained: it loads no script, font, picture or style, so it can be mailed, archived or opened without a
// network.
//
// It is a pure function from values to text, and does not know Terraform, Kubernetes or Redis. The caller must remove secrets from the
// texts. Everything else is treated as hostile: names, paths and output come from programs.
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

// Run describes a run.
type Run struct {
	ID             string
	Name           string
	Infrastructure string
	Namespace      string
	Status         Status
	Problem        string    // why the run could not be completed, if not because of a step
	Written        time.Time // when the report was written
	Steps          []Step    // each after its needs
	Outputs        []File    // the declared outputs
}

// Step describes a step. Unknown points in time are zero.
type Step struct {
	Name      string
	Image     string
	Needs     []string // names of earlier steps; others are ignored
	Status    Status
	Made      time.Time // when its Job was created
	Started   time.Time // when its program started
	Ended     time.Time
	Reused    bool // its result is that of an earlier execution, in which it started and ended
	Attempts  int  // 0 if it is not known
	Code      *int // exit code of the program, nil if there is none
	Failure   string
	Files     []File // the files that it wrote
	FileCount int    // number of all files, if Files does not list all; FileSize is their total size
	FileSize  int64
	Log       string // the end of the output
	Note      string // why something above is not known
	Parts     []Part // the indexes of a fan-out step, sorted
}

// Part describes one index of a fan-out step.
type Part struct {
	Index    int
	Item     string // the item of the index, if the step has items
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

// Status is how a run or a step ended. The page shows other values unchanged and without a colour.
type Status string

// The statuses of a run or a step.
const (
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Stopped   Status = "stopped"
	Skipped   Status = "skipped"
)

// MaxFiles, MaxParts and MaxLog limit what is shown for one step, so that a page with hundreds of steps opens quickly.
const (
	MaxFiles = 50
	MaxParts = 100
	MaxLog   = 16 << 10
)

//go:embed page.css
var styleText string

// policy allows only the style, by its digest: if a hostile text ever passed the escaping, a browser would still run and load nothing.
var policy = fmt.Sprintf("default-src 'none'; img-src data:; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", shortDigest(styleText))

// Write writes the page.
func Write(w io.Writer, run Run) error {
	var text bytes.Buffer
	if err := renderPage(newView(run)).Render(&text); err != nil {
		return fmt.Errorf("write the report of run %q: %w", run.ID, err)
	}
	_, err := text.WriteTo(w)
	return err
}

func shortDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

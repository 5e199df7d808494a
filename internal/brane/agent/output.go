package agent

import (
	"io"
	"sync"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// containerLog is a stream of the container. Its errors are ignored, so that the output is kept, and the result of a package is found, if nothing can be written to it.
type containerLog struct{ stream io.Writer }

// Write never fails.
func (l containerLog) Write(p []byte) (int, error) {
	_, _ = l.stream.Write(p) // there is no other place to report it to
	return len(p), nil
}

// tail keeps the end of what both streams of the command and the agent have written to it.
type tail struct {
	mu      sync.Mutex
	kept    []byte // at most twice MaxLog, so that old output is seldom moved
	written int64
}

// Write appends to the tail. It never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written += int64(len(p))
	t.kept = append(t.kept, p[max(0, len(p)-files.MaxLog):]...)
	if len(t.kept) > 2*files.MaxLog {
		n := copy(t.kept, t.kept[len(t.kept)-files.MaxLog:])
		t.kept = t.kept[:n]
	}
	return len(p), nil
}

// lastBytes returns a copy of the end, and how many bytes were written in total.
func (t *tail) lastBytes() ([]byte, int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.kept[max(0, len(t.kept)-files.MaxLog):]...), t.written
}

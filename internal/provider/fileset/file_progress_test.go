package fileset_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-log/tflogtest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/fileset"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// The log shows the progress of saving a file at intervals.
func TestTheLogTellsHowFarAFileIsSaved(t *testing.T) {
	store, err := files.Open(files.Config{Redis: redistest.Start(t).Client(), Run: "run", Deadline: time.Now().Add(time.Hour)})
	acctest.NoError(t, err)
	large := bytes.Repeat([]byte("0123456789"), 300_000)
	layer, err := store.PutInputs(t.Context(), map[string]files.Source{"corpus": {Content: large}})
	acctest.NoError(t, err)
	tree, err := store.Tree(t.Context(), layer)
	acctest.NoError(t, err)
	entry, _ := tree.Lookup("corpus")
	to := filepath.Join(t.TempDir(), "corpus")

	var log bytes.Buffer
	sum, err := fileset.SaveFile(tflogtest.RootLogger(t.Context(), &log), store, entry, to, time.Now().Add(-time.Minute))
	acctest.NoError(t, err)
	lines, err := tflogtest.MultilineJSONDecode(&log)
	acctest.NoError(t, err)
	want := []map[string]any{
		{"@level": "info", "@message": "saving file", "@module": "provider", "path": to, "bytes": float64(files.ChunkSize), "of": 3e6}, // the first chunk of three
		{"@level": "info", "@message": "file saved", "@module": "provider", "path": to, "bytes": 3e6},
	}
	for _, line := range lines {
		delete(line, "@timestamp")
		delete(line, "@caller")
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	if saved, err := os.ReadFile(to); err != nil || !bytes.Equal(saved, large) || sum != acctest.SHA256(string(large)) {
		t.Errorf("%d bytes were saved with the digest %s, %v", len(saved), sum, err)
	}
}

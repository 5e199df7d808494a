package provider_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-log/tflogtest"

	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// A file that takes long to save says now and then in the log how far it is, and no more often.
func TestTheLogTellsHowFarAFileIsSaved(t *testing.T) {
	var log, saved bytes.Buffer
	ctx := tflogtest.RootLogger(t.Context(), &log)
	w := provider.NewProgress(ctx, &saved, "/tmp/corpus", 10, time.Now().Add(-time.Minute))
	for _, part := range []string{"0123", "4567", "89"} {
		_, err := io.WriteString(w, part)
		must(t, err)
	}
	lines, err := tflogtest.MultilineJSONDecode(&log)
	must(t, err)
	want := []map[string]any{{"@level": "info", "@message": "saving file", "@module": "provider", "path": "/tmp/corpus", "bytes": 4.0, "of": 10.0}}
	for _, line := range lines {
		delete(line, "@timestamp")
		delete(line, "@caller")
	}
	if diff := cmp.Diff(want, lines); diff != "" || saved.String() != "0123456789" {
		t.Errorf("%q was saved; the log (-want +got):\n%s", &saved, diff)
	}
}

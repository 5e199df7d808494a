package files

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// exercise runs once the operations of a run, and checks through admin that it leaves nothing.
func exercise(t *testing.T, client, admin redis.UniversalClient) {
	t.Helper()
	ctx := testenv.Context(t)
	if _, err := Check(ctx, client); err != nil {
		t.Fatal(err)
	}
	s := open(t, client, "exercise")
	events := s.Events(ctx, Steps)
	if got := <-events; got.State != Resync {
		t.Errorf("the first event is %v", got)
	}
	tree := leave(t, s, map[string][]byte{"small": []byte("hello"), "large": bytes.Repeat([]byte("0123456789"), 900_000)})
	dir := t.TempDir()
	staged, err := stage(ctx, t, s, tree, nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := snapshotLayer(ctx, s, dir, staged, nil, "next")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		step := fmt.Sprint("fan.", i)
		if _, won, err := s.Commit(ctx, resultOf(step), Record{Layer: layer}); err != nil || !won {
			t.Fatalf("commit of %s: %v, %v", step, won, err)
		}
		if got, want := <-events, (Event{step, Committed}); got != want {
			t.Errorf("event %v, want %v", got, want)
		}
	}
	if records, err := s.Commits(ctx, fingerprintsOf("fan.0", "fan.7", "fan.19", "fan.20")); err != nil || len(records) != 3 {
		t.Errorf("Commits has %d records, %v", len(records), err)
	}
	for _, pod := range []string{"one", "two", "one"} {
		if err := s.NoteStart(ctx, resultOf("fan.0"), pod, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if starts, err := s.Starts(ctx, fingerprintsOf("fan.0", "fan.1")); err != nil || !maps.Equal(starts, map[string]int{"fan.0": 2}) {
		t.Errorf("Starts says %v, %v", starts, err)
	}
	if err := s.SetFailure(ctx, resultOf("fan.0"), []byte("why")); err != nil {
		t.Fatal(err)
	}
	if failures, err := s.Failures(ctx, fingerprintsOf("fan.0", "fan.1")); err != nil || len(failures) != 1 || string(failures["fan.0"]) != "why" {
		t.Errorf("Failures says %q, %v", failures, err)
	}
	for _, kind := range []string{"starts", "failed"} { // no key of a run remains
		if left, err := admin.TTL(ctx, "brane:exercise:"+kind+":"+resultOf("fan.0").String()).Result(); err != nil || left <= 0 {
			t.Errorf("%s stays for %s, %v", kind, left, err)
		}
	}
	kept, _, err := s.Keep(ctx, []string{"small", "large"}, tree, 0)
	if err != nil {
		t.Fatal(err)
	}
	if lost, changed, err := s.Damage(ctx, kept); err != nil || lost != nil || changed != nil {
		t.Errorf("Damage says %q, %q, %v", lost, changed, err)
	}
	if err := s.SetMeta(ctx, map[string]string{"owner": "me"}); err != nil {
		t.Error(err)
	}
	if err := s.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if n := admin.DBSize(ctx).Val(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// TestCluster also checks that the keys of one run are on all masters.
func TestCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	client := dial(t, cluster.URL())
	s := open(t, client, "spread")
	leave(t, s, map[string][]byte{"large": bytes.Repeat([]byte("0123456789abcdefg"), 2_000_000)})
	for i, master := range cluster.Masters {
		if n := master.Client().DBSize(t.Context()).Val(); n == 0 {
			t.Errorf("master %d has no key", i)
		}
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	exercise(t, client, client)
}

func TestTLSWithAClientCertificate(t *testing.T) {
	server := redistest.StartTLS(t, "--requirepass", "s3cret")
	config, err := Certificates{CA: server.CA, Cert: server.Cert, Key: server.Key}.Config()
	if err != nil {
		t.Fatal(err)
	}
	client, err := Dialer{TLS: config}.Dial(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // nothing is written after this
	exercise(t, client, client)
	for name, tt := range map[string]struct {
		dialer Dialer
		want   string
	}{
		"an authority that nobody knows": {Dialer{TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: config.Certificates}}, "certificate signed by unknown authority"},
		// With TLS 1.3 the alert may get lost, as the client writes before it reads.
		"no certificate of the client": {Dialer{TLS: &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, RootCAs: config.RootCAs}}, "remote error: tls: handshake failure"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := tt.dialer.Dial(server.URL())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close() // nothing was written
			_, err = Check(t.Context(), client)
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

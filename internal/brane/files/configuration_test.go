package files

import (
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// The configuration of a run is that of the last write, and outlives the deadline of the run, but not its deletion.
func TestConfiguration(t *testing.T) {
	client := dial(t, redistest.Start(t).URL())
	s, ctx := open(t, client, "run-1"), t.Context()
	if text, err := s.Configuration(ctx); text != nil || err != nil {
		t.Errorf("before it is stored: %q, %v", text, err)
	}
	for _, text := range []string{"first", "second"} {
		if err := s.SetConfiguration(ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Configuration(ctx); string(got) != text || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, text)
		}
	}
	if left := client.TTL(ctx, s.keyOf("configuration")).Val(); left != -time.Nanosecond {
		t.Errorf("it expires in %s", left)
	}
	if text, err := open(t, client, "run-2").Configuration(ctx); text != nil || err != nil {
		t.Errorf("of another run: %q, %v", text, err)
	}
	if err := s.LimitKeys(ctx); err != nil {
		t.Fatal(err)
	}
	if at := client.ExpireTime(ctx, s.keyOf("configuration")).Val(); at != time.Duration(s.deadline.Unix())*time.Second {
		t.Errorf("when the keys are limited, it expires at %s, want %s", at, s.deadline)
	}
	if err := s.SetConfiguration(ctx, []byte("third")); err != nil || client.TTL(ctx, s.keyOf("configuration")).Val() > 0 {
		t.Errorf("it expires after it was stored again, or %v", err)
	}
	if err := s.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if text, err := s.Configuration(ctx); text != nil || err != nil {
		t.Errorf("after the run was deleted: %q, %v", text, err)
	}
}

package files

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// The items of a step are one key, each can be read alone, and they expire and are deleted with the run.
func TestItems(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	openUntil := func(deadline time.Time) *Store {
		t.Helper()
		store, err := Open(Config{Redis: client, Run: "r", Deadline: deadline})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	var items []string
	for i := range 10_000 {
		items = append(items, fmt.Sprintf("%d %s", i, strings.Repeat("x", i%3*1000)))
	}
	items[7], items[8] = "", strings.Repeat("large", 25_000)
	deadline := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, until := range []time.Time{deadline, deadline.Add(time.Hour)} {
		store := openUntil(until)
		if err := store.SetItems(t.Context(), items); err != nil {
			t.Fatal(err)
		}
		keys := client.Keys(t.Context(), "*").Val()
		if want := "brane:r:items:" + DigestItems(items); len(keys) != 1 || keys[0] != want {
			t.Fatalf("the keys are %q", keys)
		}
		if expires := client.ExpireTime(t.Context(), keys[0]).Val(); time.Unix(0, 0).Add(expires) != until.UTC().Local() {
			t.Errorf("they expire at %s, want %s", time.Unix(0, 0).Add(expires), until)
		}
		for _, i := range []int{0, 7, 8, 999, 1000, 9_999} {
			if item, err := store.Item(t.Context(), DigestItems(items), i); err != nil || item != items[i] {
				t.Errorf("item %d has %d bytes, %v", i, len(item), err)
			}
		}
	}
	store := openUntil(deadline)
	if _, err := store.Item(t.Context(), DigestItems(items), len(items)); !errors.Is(err, ErrGone) || err.Error() != "run r: read item 10000: it is not in redis any more" {
		t.Errorf("an index beyond the items: %v", err)
	}
	if _, err := store.Item(t.Context(), DigestItems(items[1:]), 0); !errors.Is(err, ErrGone) {
		t.Errorf("an item of other items: %v", err)
	}
	if err := store.SetItems(t.Context(), nil); err != nil || DigestItems(nil) != "" || client.DBSize(t.Context()).Val() != 1 {
		t.Errorf("a step without items: %v", err)
	}
	if err := store.Delete(t.Context()); err != nil || client.DBSize(t.Context()).Val() != 0 {
		t.Errorf("the keys that are left are %q, %v", client.Keys(t.Context(), "*").Val(), err)
	}
}

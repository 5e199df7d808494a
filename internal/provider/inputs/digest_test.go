package inputs

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file is read again only if its state has changed, or may have changed within the resolution of the clock.
func TestFileDigest(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	write := func(content string, written time.Time) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, written, written); err != nil {
			t.Fatal(err)
		}
	}
	cache := digestCache{files: map[string]*cachedDigest{}}
	expect := func(what, content string) {
		t.Helper()
		sum := sha256.Sum256([]byte(content))
		if got, err := cache.fileDigest(name); err != nil || got != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the digest is not that of %q: %v", what, content, err)
		}
	}
	long, now := time.Now().Add(-time.Hour), time.Now()
	write("one", long)
	expect("a file", "one")
	write("two", long) // which no program sees that only compares times
	expect("the same file", "one")
	write("three", long)
	expect("another size", "three")
	write("eight", long.Add(time.Nanosecond))
	expect("another time", "eight")
	write("seven", now)
	expect("a file that was written now", "seven")
	write("zwölf", now)
	write("forty", now)
	expect("a file that was written again now", "forty")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.fileDigest(name); !os.IsNotExist(err) {
		t.Errorf("a file that does not exist: %v", err)
	}
	write("forty", long)
	expect("another file", "forty")
}

//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// second is another implementation of the file layer. It follows the guide "Format of the file layer" alone and shares no code with package files.
type second struct {
	t     *testing.T
	redis *redis.Client
	run   string
	until time.Time
}

// fullChunk is the guide's 1,048,512 bytes.
const fullChunk = 1_048_512

// secondLine is one line of a manifest, in the guide's order.
type secondLine struct {
	V  int      `json:"v,omitempty"`
	P  string   `json:"p,omitempty"`
	PB []byte   `json:"pb,omitempty"`
	T  string   `json:"t,omitempty"`
	M  string   `json:"m,omitempty"`
	S  int      `json:"s,omitempty"`
	C  []string `json:"c,omitempty"`
	O  int      `json:"o,omitempty"`
	H  string   `json:"h,omitempty"`
	L  string   `json:"l,omitempty"`
	LB []byte   `json:"lb,omitempty"`
	B  string   `json:"b,omitempty"`
}

func (s second) key(name string) string { return "brane:" + s.run + ":" + name }

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

// chunk reads and checks a chunk.
func (s second) chunk(digest string) []byte {
	s.t.Helper()
	content, err := s.redis.Get(s.t.Context(), s.key("c:"+digest)).Bytes()
	if err != nil || sum(content) != digest || len(content) > fullChunk {
		s.t.Fatalf("chunk %s has %d bytes and the digest %s, %v", digest, len(content), sum(content), err)
	}
	return content
}

// layer reads a tree: for each path its content, and the step that wrote it.
func (s second) layer(layer string) map[string]string {
	s.t.Helper()
	var packed []byte
	for digest := range strings.Lines(string(s.chunk(layer))) {
		packed = append(packed, s.chunk(strings.TrimSuffix(digest, "\n"))...)
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		s.t.Fatal(err)
	}
	lines := json.NewDecoder(zip)
	var head secondLine
	if err := lines.Decode(&head); err != nil || head.V != 1 {
		s.t.Fatalf("the manifest begins with %+v, %v", head, err)
	}
	tree, last := map[string]string{}, ""
	for {
		var l secondLine
		if err := lines.Decode(&l); errors.Is(err, io.EOF) {
			return tree
		} else if err != nil {
			s.t.Fatal(err)
		}
		name := l.P + string(l.PB)
		if name <= last {
			s.t.Errorf("%q comes after %q", name, last)
		}
		last = name
		tree[name] = s.shown(l) + " by " + l.B
	}
}

func (s second) shown(l secondLine) string {
	s.t.Helper()
	switch l.T {
	case "d":
		return "directory " + l.M
	case "l":
		return "-> " + l.L + string(l.LB)
	}
	content := make([]byte, l.S)
	for i := 0; i < len(content); {
		at := l.O + i
		i += copy(content[i:], s.chunk(l.C[at/fullChunk])[at%fullChunk:])
	}
	if l.H != "" && l.H != sum(content) || l.H == "" && l.S <= fullChunk {
		s.t.Errorf("%q has the digest %s, and %q in the manifest", l.P, sum(content), l.H)
	}
	return fmt.Sprintf("file %s %d %s", l.M, len(content), sum(content))
}

// put writes a chunk.
func (s second) put(content []byte) string {
	s.t.Helper()
	digest := sum(content)
	err := s.redis.SetArgs(s.t.Context(), s.key("c:"+digest), content, redis.SetArgs{Mode: "NX", ExpireAt: s.until}).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatal(err)
	}
	return digest
}

// input writes lines, sorted by their paths, as the layer of the inputs.
func (s second) input(lines ...secondLine) {
	s.t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	to := json.NewEncoder(zip)
	for _, l := range append([]secondLine{{V: 1}}, lines...) {
		if err := to.Encode(l); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := zip.Close(); err != nil {
		s.t.Fatal(err)
	}
	layer := s.put([]byte(s.put(packed.Bytes()) + "\n"))
	if err := s.redis.SetArgs(s.t.Context(), s.key("in"), layer, redis.SetArgs{ExpireAt: s.until}).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// TestASecondImplementationUnderstandsTheAgent writes files that the agent stages in, and reads the files that the agent has stored.
func TestASecondImplementationUnderstandsTheAgent(t *testing.T) {
	r := newRun(t, nil)
	s := second{t, r.server.Client(), r.id, r.limit}
	large := bytes.Repeat([]byte("0123456789abcde\n"), 200_000)
	small := append(bytes.Repeat([]byte("-"), fullChunk-4), "pack"...) // goes over the end of its pack
	var own []string
	for rest := large; len(rest) > 0; rest = rest[min(fullChunk, len(rest)):] {
		own = append(own, s.put(rest[:min(fullChunk, len(rest))]))
	}
	pack := []string{s.put(append([]byte("tiny"), small[:fullChunk-4]...)), s.put(small[fullChunk-4:])}
	s.input(
		secondLine{P: "deep", T: "d", M: "750"},
		secondLine{P: "deep/small", M: "4755", S: len(small), C: pack, O: 4, H: sum(small)},
		secondLine{P: "empty", M: "600", H: sum(nil)},
		secondLine{P: "hollow", T: "d", M: "755"},
		secondLine{P: "large", M: "640", S: len(large), C: own},
		secondLine{P: "link", T: "l", L: "deep/small"},
		secondLine{PB: []byte("odd\xff"), M: "644", S: 4, C: pack[:1], H: sum([]byte("tiny"))},
	)
	p := r.pod("step", nil)
	if got := p.sh("printf more >>large; mkdir new; seq 300000 >new/numbers; ln -s ../link new/link; printf x >deep/x; chmod 700 deep; rm empty; : >new/empty"); got.code != 0 {
		t.Fatalf("the step ended with %d: %s", got.code, got.stderr)
	}
	text, err := s.redis.Get(t.Context(), s.key("step:"+r.key("step").String())).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var record struct {
		V, Code int
		Layer   string
		Base    string
	}
	if err := json.Unmarshal(text, &record); err != nil || record.V != 2 || record.Code != 0 || record.Base != s.redis.Get(t.Context(), s.key("in")).Val() {
		t.Fatalf("the record is %s, %v", text, err)
	}
	want := onDisk(t, p.data, map[string]bool{"deep/small": true, "hollow": true, "link": true, "odd\xff": true})
	if diff := cmp.Diff(want, s.layer(record.Layer)); diff != "" {
		t.Errorf("the layer differs from the directory (-directory +layer):\n%s", diff)
	}
	if len(want) != 11 {
		t.Errorf("the directory has %d entries", len(want))
	}
}

// onDisk describes a directory as second.layer describes a layer.
func onDisk(t *testing.T, dir string, inputs map[string]bool) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		mode := uint64(info.Mode().Perm())
		if info.Mode()&fs.ModeSetuid != 0 {
			mode |= 0o4000
		}
		by := "step"
		if inputs[name] {
			by = ""
		}
		octal := strconv.FormatUint(mode, 8)
		switch {
		case info.IsDir():
			found[name] = "directory " + octal
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			found[name] = "-> " + target
		default:
			content, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			found[name] = fmt.Sprintf("file %s %d %s", octal, len(content), sum(content))
		}
		found[name] += " by " + by
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

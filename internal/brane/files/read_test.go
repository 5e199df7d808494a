package files

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

// TestIsContent compares local files with entries that have the digest of the whole file, and with entries that have only those of the
// chunks.
func TestIsContent(t *testing.T) {
	text := noise(1, 2*ChunkSize+5)
	chunks := Entry{Path: "large", Size: int64(len(text)), Chunks: []Digest{sha256.Sum256(text[:ChunkSize]), sha256.Sum256(text[ChunkSize : 2*ChunkSize]), sha256.Sum256(text[2*ChunkSize:])}}
	whole := chunks
	whole.SHA256 = sha256.Sum256(text)
	packed := Entry{Path: "small", Size: 5, Chunks: []Digest{sha256.Sum256(text[:ChunkSize])}, Offset: 9, SHA256: sha256.Sum256([]byte("alice"))}
	other := func(at int) []byte {
		changed := bytes.Clone(text)
		changed[at] ^= 1
		return changed
	}
	for name, tt := range map[string]struct {
		entry   Entry
		content []byte
		want    bool
	}{
		"the same, by its digest":            {whole, text, true},
		"another byte, by the file's digest": {whole, other(ChunkSize), false},
		"a small file":                       {packed, []byte("alice"), true},
		"another small file":                 {packed, []byte("rabbi"), false},
		"an empty file":                      {Entry{Path: "empty", SHA256: sha256.Sum256(nil)}, nil, true},
		"the same, by its chunks":            {chunks, text, true},
		"another first byte":                 {chunks, other(0), false},
		"another byte in the middle":         {chunks, other(ChunkSize), false},
		"another last byte":                  {chunks, other(len(text) - 1), false},
		"less":                               {chunks, text[:len(text)-1], false},
		"less by a chunk":                    {chunks, text[:2*ChunkSize], false},
		"more":                               {chunks, append(bytes.Clone(text), 0), false},
		"nothing":                            {chunks, nil, false},
		"a chunk that is full, and more behind that": {Entry{Size: ChunkSize, Chunks: chunks.Chunks[:1]}, text[:ChunkSize+1], false},
	} {
		t.Run(name, func(t *testing.T) {
			if is, err := tt.entry.IsContent(bytes.NewReader(tt.content)); is != tt.want || err != nil {
				t.Errorf("IsContent says %v, %v", is, err)
			}
		})
	}
}

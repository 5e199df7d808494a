package infra

import (
	"bytes"
	"context"
	"slices"
	"sync"
)

// Files are the two configuration files. They are never nil; a file that does not exist or is empty has no content.
type Files struct {
	Infra      *Infra
	Secrets    *Secrets
	HasInfra   bool // whether infra.yml exists
	HasSecrets bool // whether secrets.yml exists
}

// Store keeps the two configuration files where a Brane instance reads them. Several stores of the same files, in one process or in many, never lose
// each other's changes.
type Store interface {
	// Read returns both files as of one moment. The error is [ErrUnparsable] if one of them cannot be parsed.
	Read(ctx context.Context) (Files, error)

	// Update reads the files, calls change, and writes the files that differ, with no other write in between. change is called again if another
	// writer was faster. If change returns an error, nothing is written.
	Update(ctx context.Context, change func(*Files) error) error

	// String names the store in messages: "directory /srv/brane/config".
	String() string
}

// parseFiles parses the texts of the files; nil means that the file does not exist.
func parseFiles(infra, secrets []byte) (Files, error) {
	i, err := parseDocument(infraFormat, infra)
	if err != nil {
		return Files{}, err
	}
	s, err := parseDocument(secretsFormat, secrets)
	if err != nil {
		return Files{}, err
	}
	return Files{Infra: &Infra{i}, Secrets: &Secrets{s}, HasInfra: infra != nil, HasSecrets: secrets != nil}, nil
}

// parseCache keeps the files that were parsed or written last: a plan reads the same texts once for each infrastructure, and an apply reads what it wrote
// for the one before.
type parseCache struct {
	mu   sync.Mutex
	last Files // has no documents before the first use
}

// parseFiles is [parseFiles] for texts that may be those of the last call. The result can be edited.
func (c *parseCache) parseFiles(infra, secrets []byte) (Files, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last
	if last.Infra != nil && last.HasInfra == (infra != nil) && last.HasSecrets == (secrets != nil) &&
		bytes.Equal(last.Infra.Bytes(), infra) && bytes.Equal(last.Secrets.Bytes(), secrets) {
		return last.cloneForEdit(), nil
	}
	parsed, err := parseFiles(infra, secrets)
	if err != nil {
		return Files{}, err
	}
	c.last = parsed
	return parsed.cloneForEdit(), nil
}

// keepWritten keeps files after the changed ones were written. They were parsed when they were edited.
func (c *parseCache) keepWritten(f Files, changed []changedFile) {
	for _, w := range changed {
		f.HasInfra = f.HasInfra || w.name == infraFile
		f.HasSecrets = f.HasSecrets || w.name == secretsFile
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = f.cloneForEdit()
}

// changedFile is a file to write.
type changedFile struct {
	name string
	data []byte
}

// changedFiles returns the files that differ, in an order in which no location ever names a missing secret: secrets.yml first, but last if a secret is
// removed.
func changedFiles(before, after Files) []changedFile {
	var ws []changedFile
	if !bytes.Equal(before.Secrets.Bytes(), after.Secrets.Bytes()) {
		ws = append(ws, changedFile{secretsFile, after.Secrets.Bytes()})
	}
	if !bytes.Equal(before.Infra.Bytes(), after.Infra.Bytes()) {
		ws = append(ws, changedFile{infraFile, after.Infra.Bytes()})
	}
	for _, name := range before.Secrets.Names() {
		if _, ok := after.Secrets.Value(name); !ok {
			slices.Reverse(ws)
			break
		}
	}
	return ws
}

// cloneForEdit returns a copy to edit. A document is never changed, only replaced.
func (f Files) cloneForEdit() Files {
	f.Infra, f.Secrets = &Infra{f.Infra.document}, &Secrets{f.Secrets.document}
	return f
}

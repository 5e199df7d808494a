package infra

import (
	"bytes"
	"context"
	"slices"
)

// Files is what a store holds. The documents are never nil; where a file is not there, or is empty, its document has no content.
type Files struct {
	Infra      *Infra
	Secrets    *Secrets
	HasInfra   bool // whether infra.yml is there
	HasSecrets bool // whether secrets.yml is there
}

// Store keeps the two documents where a Brane instance reads them. Several stores on one place, in one process or many, lose nothing of each other's.
type Store interface {
	// Read gives both documents as they were at one moment. The error is an [ErrUnparsable] where one cannot be read.
	Read(ctx context.Context) (Files, error)

	// Update reads, lets change edit, and writes what is different; nobody else writes in between. change may be called again after somebody
	// else was faster; its error ends the update and nothing is written.
	Update(ctx context.Context, change func(*Files) error) error

	// String names the place for people: "folder /srv/brane/config".
	String() string
}

// parseFiles parses what a store has read; nil is a file that is not there.
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

// write is one file to be written.
type changedFile struct {
	name string
	data []byte
}

// writes are the files that differ, in an order in which no location ever names a secret that is not there: secrets come first,
// but when one of them goes away, last.
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

// copy is the same documents for a change to edit; documents replace their source and never change it.
func (f Files) clone() Files {
	f.Infra, f.Secrets = &Infra{f.Infra.document}, &Secrets{f.Secrets.document}
	return f
}

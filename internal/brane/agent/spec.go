package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Paths are the directories of the pod. The zero value means the mounts of the protocol.
type Paths struct{ Mount, Data, Secret, LastWords string }

func (p Paths) withDefaults() Paths {
	for path, otherwise := range map[*string]string{&p.Mount: Mount, &p.Data: DataMount, &p.Secret: SecretMount, &p.LastWords: LastWords} {
		if *path == "" {
			*path = otherwise
		}
	}
	return p
}

func (p Paths) specFile() string   { return filepath.Join(p.Mount, "spec.json") }
func (p Paths) stampsFile() string { return filepath.Join(p.Mount, "stamps") }
func (p Paths) binaryFile() string { return filepath.Join(p.Mount, filepath.Base(Binary)) }

// spec is what the init container passes to the main container, in a volume that no other container mounts. The file exists from the end of staging in until the
// main container starts, and only the user of the pod can read it, unless the main container may have another user.
type spec struct {
	Step    Step        `json:"step"`
	Access  access      `json:"access"`
	Layer   files.Layer `json:"layer"`             // that was staged in
	Trusted int64       `json:"trusted,omitempty"` // see [files.Staged]; the stamps are in a separate file
	Node    string      `json:"node,omitempty"`
	Pod     string      `json:"pod,omitempty"`
}

// specFrom reads the specification from the environment of a container. The result has the step's name even if there is an error.
func specFrom(env func(string) string) (spec, error) {
	s := spec{Node: env(EnvNode), Pod: env(EnvPod)}
	step, err := ParseStep([]byte(env(EnvStep)))
	s.Step = step
	if wrong := CheckVersion("agent", step.Version); wrong != nil { // first, because another version describes steps in another way
		return s, wrong
	}
	if err != nil {
		return s, fmt.Errorf("environment %s: %w", EnvStep, err)
	}
	s.Step, err = step.ForIndex(env(EnvIndex))
	return s, err
}

// access is the content of the Secret.
type access struct {
	URL  string `json:"url"`
	CA   []byte `json:"ca,omitempty"`
	Cert []byte `json:"cert,omitempty"`
	Key  []byte `json:"key,omitempty"`
}

// readAccess reads the mounted Secret.
func readAccess(directory string) (access, error) {
	address, err := os.ReadFile(filepath.Join(directory, SecretKey)) // a directory of the pod
	if err != nil {
		return access{}, fmt.Errorf("read the address of redis: %w", err)
	}
	a := access{URL: strings.TrimSpace(string(address))} // an editor may have added a newline
	for name, into := range map[string]*[]byte{SecretCA: &a.CA, SecretCert: &a.Cert, SecretTLS: &a.Key} {
		content, err := os.ReadFile(filepath.Join(directory, name)) // a directory of the pod
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return access{}, fmt.Errorf("read the certificates for redis: %w", err)
		}
		*into = content
	}
	return a, nil
}

// accessFrom reads the content of the Secret from the environment of a container.
func accessFrom(env func(string) string) access {
	return access{strings.TrimSpace(env(EnvURL)), []byte(env(EnvCA)), []byte(env(EnvCert)), []byte(env(EnvTLS))}
}

// ReadAccess reads a mounted Secret of the protocol: the address of Redis with the credential, and the certificates.
func ReadAccess(directory string) (address string, certificates files.Certificates, err error) {
	a, err := readAccess(directory)
	return a.URL, files.Certificates{CA: a.CA, Cert: a.Cert, Key: a.Key}, err
}

func (a access) connectRedis() (redis.UniversalClient, error) {
	config, err := files.Certificates{CA: a.CA, Cert: a.Cert, Key: a.Key}.Config()
	if err != nil {
		return nil, err
	}
	return files.Dialer{TLS: config}.Dial(a.URL)
}

// hasOwnUser reports whether the address contains the Redis user of the run in this database.
func (a access) hasOwnUser(run string, database int) bool {
	u, err := url.Parse(a.URL)
	return err == nil && u.User.Username() == files.UserName(run, database)
}

func writeSpec(p Paths, s spec) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the specification: %w", err)
	}
	mode := fs.FileMode(0o600)
	if s.Step.InMain {
		mode = 0o644
	}
	// The umask may have removed the permission to read it.
	if err := errors.Join(os.WriteFile(p.specFile(), text, mode), os.Chmod(p.specFile(), mode)); err != nil {
		return fmt.Errorf("write the specification: %w", err)
	}
	return nil
}

// openStamps creates the file for the stamps, or empties it.
func openStamps(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record the state of the staged files: %w", err)
	}
	return f, nil
}

// takeStamps opens and removes the file that Stage has written, so that only this process has it. There is none if nothing was staged in.
func takeStamps(p Paths) (files.Stamps, error) {
	f, err := os.OpenFile(p.stampsFile(), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = os.Remove(p.stampsFile())
	}
	if err != nil {
		return nil, fmt.Errorf("read the recorded state of the staged files: %w", err)
	}
	return f, nil
}

// takeSpec reads the specification and removes it. If it cannot be removed, the command must not start, because it could read it.
func takeSpec(p Paths) (spec, error) {
	text, err := os.ReadFile(p.specFile())
	switch {
	case errors.Is(err, fs.ErrPermission):
		return spec{}, fmt.Errorf("read the specification: %w; the init container ran as another user: both need the same one, as security_context.run_as_user of the step sets it", err)
	case errors.Is(err, fs.ErrNotExist):
		return spec{}, fmt.Errorf("read the specification: %w; a container that is started again has none, so the restart policy of the pod has to be Never", err)
	case err != nil:
		return spec{}, fmt.Errorf("read the specification: %w", err)
	}
	if err := os.Remove(p.specFile()); err != nil {
		return spec{}, fmt.Errorf("remove the specification: %w; both containers need the same user, as security_context.run_as_user of the step sets it", err)
	}
	var s spec
	if err := json.Unmarshal(text, &s); err != nil {
		return spec{}, fmt.Errorf("read the specification: %w", err)
	}
	if err := s.Step.Validate(); err != nil {
		return spec{}, fmt.Errorf("read the specification: %w", err)
	}
	return s, nil
}

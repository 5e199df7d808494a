package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Identity is what identifies a run: any difference starts a new run.
type Identity struct {
	Name           string            `json:"name"`
	Infrastructure string            `json:"infrastructure"`
	Namespace      string            `json:"namespace,omitempty"` // only without an infrastructure, which names the namespace
	Cluster        string            `json:"cluster,omitempty"`   // likewise
	Steps          []Step            `json:"steps"`               // in the order of the graph
	Inputs         map[string]string `json:"inputs"`              // path → sha256 of the content, in hex
	Triggers       map[string]string `json:"triggers"`
	// SecretEnvVersion represents the steps' SecretEnv, which is not part of the identity; 0 if there is none.
	SecretEnvVersion int64 `json:"secret_env_version,omitempty"`
}

// ID returns the name of the run and the beginning of a digest of its identity, for example "wordcount-3f9a1c0227d5e8b4". It depends on the
// configuration alone, so that an apply finds a run that is not in its state, because the apply that started it was killed.
func (i Identity) ID() string {
	i.Steps = slices.Clone(i.Steps)
	for n := range i.Steps {
		i.Steps[n].Metadata = Metadata{} // labels and annotations do not change what a command does
	}
	data, err := json.Marshal(i)
	if err != nil {
		panic(err) // the identity has only texts and numbers, which can always be encoded
	}
	return i.Name + "-" + shortDigest(data, idBytes)
}

const (
	// idBytes is the length of the digest in an id. The files of a run are found by its id alone, so two runs must not have the same by
	// accident: with 64 bits that is improbable even among a million runs of one name.
	idBytes = 8
	// nameBytes is the length of the digest in a shortened name, which only has to differ from the other names of one run.
	nameBytes = 4
)

// shortDigest returns the beginning of a digest in hex.
func shortDigest(data []byte, size int) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:size])
}

// MaxIndexedName leaves room for the index that Kubernetes appends to the name of an Indexed Job to name its pods.
const MaxIndexedName = validation.DNS1123LabelMaxLength - len("-9999")

// ObjectName joins the parts of a name for an API object. The limit is 63 characters, because the name of a Job is a label of its pods.
func ObjectName(parts ...string) string { return LimitName(validation.DNS1123LabelMaxLength, parts...) }

// LimitName joins the parts of a name. A name that is too long is shortened and gets a digest of the whole.
func LimitName(limit int, parts ...string) string {
	name := strings.Join(parts, "-")
	if len(name) <= limit {
		return name
	}
	digest := shortDigest([]byte(name), nameBytes)
	return strings.TrimRight(name[:limit-len("-")-len(digest)], "-") + "-" + digest
}

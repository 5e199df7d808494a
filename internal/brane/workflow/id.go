package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Identity is all that makes a run this run: where any of it differs it is another run.
type Identity struct {
	Name           string            `json:"name"`
	Infrastructure string            `json:"infrastructure"`
	Steps          []Step            `json:"steps"`  // in the graph's order
	Inputs         map[string]string `json:"inputs"` // path → sha256 of the content, in hex
	Triggers       map[string]string `json:"triggers"`
	// SecretEnvVersion represents the steps' SecretEnv, which is not part of the identity; 0 if there is none.
	SecretEnvVersion int64 `json:"secret_env_version,omitempty"`
}

// ID is the run's name and the beginning of a digest of its identity: "wordcount-3f9a1c02". It follows from the configuration alone, so that a run can be
// found again by an apply that has no state of it, because the one that began it was killed.
func (i Identity) ID() string {
	data, err := json.Marshal(i)
	if err != nil {
		panic(err) // texts and numbers only: no input can cause it
	}
	return i.Name + "-" + shortDigest(data)
}

func shortDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}

// maxIndexed leaves room for the index that Kubernetes puts behind the name of an Indexed Job to name its pods.
const maxIndexed = validation.DNS1123LabelMaxLength - len("-9999")

// objectName joins the parts of a name for an API object. Kubernetes puts a Job's name into a label of its pods, so 63 characters are the limit.
func objectName(parts ...string) string { return nameOf(validation.DNS1123LabelMaxLength, parts...) }

// nameOf joins the parts of a name; one that is too long keeps its beginning and gets a digest of the whole.
func nameOf(limit int, parts ...string) string {
	name := strings.Join(parts, "-")
	if len(name) <= limit {
		return name
	}
	return strings.TrimRight(name[:limit-9], "-") + "-" + shortDigest([]byte(name))
}

package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// RunID returns the id of a run: its name and the beginning of a digest of its name and place, for example "wordcount-3f9a1c0227d5e8b4". cluster is
// the address of the API server. The id does not depend on anything else, so that an apply finds a run that is not in its state, because the apply
// that started it was killed.
func RunID(name, cluster, namespace string) string {
	return name + "-" + shortDigest([]byte(strings.Join([]string{name, cluster, namespace}, "\n")), idBytes)
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

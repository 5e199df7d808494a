// Package branelet speaks with branelet, the program that is the entry point of every Brane package's image: it writes the arguments of a call, and finds
// the value of its result in what branelet prints.
//
// Brane 0.4 to 0.6 tag each value with its kind, Brane 1 and newer write plain JSON; a [Version] knows which. The callback service and the mounted file
// system of Brane are left out: without the variables that name them, branelet prints its result, and works where it is.
//
// It knows nothing of Kubernetes, Terraform and Redis, and it is small, because the agent in every step's pod is linked with it. What a package's own
// files say of its functions is the business of package packagefile.
package branelet

import (
	"fmt"
	"regexp"
)

// Version is the family of Brane releases whose branelet is in an image.
type Version string

// The versions. What changes between releases of one of them does not concern a call.
const (
	V04 Version = "0.4"
	V05 Version = "0.5"
	V06 Version = "0.6"
	V1  Version = "1"
	V2  Version = "2"
	V3  Version = "3"
	V4  Version = "4"
)

// Versions are all of them, the oldest first.
func Versions() []Version { return []Version{V04, V05, V06, V1, V2, V3, V4} }

var versionRule = regexp.MustCompile(`^(?:(0\.[456])|([1234])(?:\.[0-9]+)?)(?:\.[0-9]+)?$`)

// ParseVersion takes a version, or a release of it such as 0.6.3 or 3.0.0.
func ParseVersion(text string) (Version, error) {
	found := versionRule.FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%q is no version of Brane whose packages can be called: 0.4, 0.5, 0.6, 1, 2, 3, 4, or a release of one of them", text)
	}
	return Version(found[1] + found[2]), nil
}

// tagged says whether values carry their kind.
func (v Version) isTagged() bool { return v == V04 || v == V05 || v == V06 }

// Kind is how a package runs its functions.
type Kind string

// The kinds, as branelet calls them.
const (
	ECU  Kind = "ecu"  // executes code
	Code Kind = "code" // the same, as branelet 0.4 calls it
	OAS  Kind = "oas"  // calls a web API
)

// CodeKind is what this version's branelet calls packages that execute code. Their files say `ecu` in every version.
func (v Version) CodeKind() Kind {
	if v == V04 {
		return Code
	}
	return ECU
}

// Kinds are those that this version's branelet knows.
func (v Version) Kinds() []Kind {
	if v == V4 {
		return []Kind{v.CodeKind()} // web APIs were given up
	}
	return []Kind{v.CodeKind(), OAS}
}

// HidesExitCode says that this version's branelet ends with 0 although the package's program has failed, when what the program printed can be read.
func (v Version) HidesExitCode() bool { return v == V04 || v == V05 }

// Meaning says what an exit code of branelet itself means; empty where it is the program's own. With 0.6 and newer a program may end with 255 as well.
func (v Version) Meaning(code int) string {
	switch {
	case v.HidesExitCode() && code == 1:
		return "branelet has given up: its message says why"
	case v.HidesExitCode() && code == 101: // of every program in Rust that panics
		return "branelet has panicked: the program has failed, or printed something else than the outputs that the package declares, as YAML"
	case !v.HidesExitCode() && code == 255:
		return "branelet has given up, and its message says why; or a signal has ended the program"
	}
	return ""
}

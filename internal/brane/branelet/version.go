// Package branelet calls branelet, the program that is the entry point of the image of every Brane package: it encodes the arguments of a call, and finds
// the result in the output of branelet.
//
// Brane 0.4 to 0.6 tag each value with its kind, Brane 1 and newer write plain JSON; see [Version]. Brane's callback service and mounted file system are not
// used: without the variables that name them, branelet prints its result and runs in the container's own file system.
//
// It knows nothing of Kubernetes, Terraform and Redis, and is small, because the agent in the pod of every step is linked with it. Package packagefile reads
// the files that describe the functions of a package.
package branelet

import (
	"fmt"
	"regexp"
)

// Version is the family of Brane releases that the branelet of an image belongs to.
type Version string

// The versions. Releases of one version do not differ in how they are called.
const (
	V04 Version = "0.4"
	V05 Version = "0.5"
	V06 Version = "0.6"
	V1  Version = "1"
	V2  Version = "2"
	V3  Version = "3"
	V4  Version = "4"
)

// Versions returns all versions, the oldest first.
func Versions() []Version { return []Version{V04, V05, V06, V1, V2, V3, V4} }

var versionRule = regexp.MustCompile(`^(?:(0\.[456])|([1234])(?:\.[0-9]+)?)(?:\.[0-9]+)?$`)

// ParseVersion parses a version, or a release such as 0.6.3 or 3.0.0.
func ParseVersion(text string) (Version, error) {
	found := versionRule.FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%q is not a Brane version whose packages can be called: use 0.4, 0.5, 0.6, 1, 2, 3, 4, or a release of one of them", text)
	}
	return Version(found[1] + found[2]), nil
}

// isTagged reports whether values have their kind with them.
func (v Version) isTagged() bool { return v == V04 || v == V05 || v == V06 }

// Kind is how a package executes its functions.
type Kind string

// The kinds, by their names in branelet.
const (
	ECU  Kind = "ecu"  // executes code
	Code Kind = "code" // the same in branelet 0.4
	OAS  Kind = "oas"  // calls a web API
)

// CodeKind returns the kind of packages that execute code. The files of a package have `ecu` in every version.
func (v Version) CodeKind() Kind {
	if v == V04 {
		return Code
	}
	return ECU
}

// Kinds returns the kinds that branelet supports.
func (v Version) Kinds() []Kind {
	if v == V4 {
		return []Kind{v.CodeKind()} // without web APIs
	}
	return []Kind{v.CodeKind(), OAS}
}

// HidesExitCode reports whether branelet exits with 0 if the program of the package failed but its output can be parsed.
func (v Version) HidesExitCode() bool { return v == V04 || v == V05 }

// Meaning returns what an exit code of branelet itself means; empty if it is the exit code of the program. In 0.6 and newer, a program may also exit with 255.
func (v Version) Meaning(code int) string {
	switch {
	case v.HidesExitCode() && code == 1:
		return "branelet failed; its message has the reason"
	case v.HidesExitCode() && code == 101: // the exit code of a Rust program that panics
		return "branelet panicked: the program failed, or its output is not the YAML of the outputs that the package declares"
	case !v.HidesExitCode() && code == 255:
		return "branelet failed (its message has the reason), or a signal ended the program"
	}
	return ""
}

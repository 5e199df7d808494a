package agent

import "fmt"

// Version is the version of this program. The programs of the agent's image set it when they start.
var Version = "dev"

// VersionError reports that an image has another version than the provider that uses it.
type VersionError struct{ Program, Version, Provider string }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the %s has version %s, but the provider that started it has version %s: "+
		"leave out agent_image of the provider block (or BRANE_AGENT_IMAGE), or set it to an image of version %s", e.Program, e.Version, e.Provider, e.Provider)
}

// CheckVersion returns a [VersionError] if this program does not have the version of the provider that started it. An empty version matches all.
func CheckVersion(program, provider string) error {
	if provider == "" || provider == Version {
		return nil
	}
	return &VersionError{program, Version, provider}
}

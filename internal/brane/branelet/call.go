package branelet

import (
	"encoding/base64"
	"fmt"
)

// EntryPoint is the entry point of the image of every package.
const EntryPoint = "/branelet"

// WorkDir is the directory with the files of a package in its image.
const WorkDir = "/opt/wd"

// Environment variables of branelet, without those for the callback service, the proxy and the mounted file system: without the first, branelet prints its
// result; the others need a privileged container.
const (
	EnvApplication = "BRANE_APPLICATION_ID"
	EnvLocation    = "BRANE_LOCATION_ID"
	EnvJob         = "BRANE_JOB_ID"
	EnvWorkDir     = "BRANE_WORKDIR"
	EnvDebug       = "DEBUG"
	EnvPrefix      = "ENABLE_STDOUT_PREFIX" // Brane 3 and newer then mark the line of the result
)

// MaxArguments is the maximum length of the encoded arguments of a call, as Linux limits the length of one argument.
const MaxArguments = 128<<10 - 1

// Call is a call of a function.
type Call struct {
	Kind      Kind
	Function  string
	Arguments map[string]Value
}

// Args returns the command-line arguments of branelet for a call.
func (v Version) Args(call Call) ([]string, error) {
	text, err := v.EncodeArguments(call.Arguments)
	if err != nil {
		return nil, fmt.Errorf("call function %q: %w", call.Function, err)
	}
	return []string{string(call.Kind), call.Function, text}, nil
}

// EncodeArguments returns the arguments of a call as a JSON object in base64.
func (v Version) EncodeArguments(arguments map[string]Value) (string, error) {
	text, err := v.appendProperties(nil, arguments, 0)
	if err != nil {
		return "", fmt.Errorf("write the arguments for Brane %s: %w", v, err)
	}
	encoded := base64.StdEncoding.EncodeToString(text)
	if len(encoded) > MaxArguments {
		return "", fmt.Errorf("the encoded arguments are %d bytes long, and Linux accepts at most %d; pass large values in files", len(encoded), MaxArguments)
	}
	return encoded, nil
}

// DecodeArguments decodes the result of [Version.EncodeArguments].
func (v Version) DecodeArguments(encoded string) (map[string]Value, error) {
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("read the arguments of a call: invalid base64")
	}
	parsed, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read the arguments of a call: %w", err)
	}
	object, ok := parsed.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read the arguments of a call: not a JSON object")
	}
	arguments := make(map[string]Value, len(object))
	for name, parsed := range object {
		if arguments[name], err = v.toValue(parsed, 1); err != nil {
			return nil, fmt.Errorf("read argument %q: %w", name, err)
		}
	}
	return arguments, nil
}

// Environment returns the environment variables of a call: the application (a session of Brane's driver), the location and the job.
func (v Version) Environment(application, location, job string) map[string]string {
	env := map[string]string{EnvApplication: application, EnvLocation: location, EnvJob: job}
	switch v {
	case V06:
		env[EnvDebug] = "false"
	case V3, V4:
		env[EnvPrefix] = "1"
	default: // need no other variable
	}
	return env
}

package branelet

import (
	"encoding/base64"
	"fmt"
)

// EntryPoint is the program of every package's image.
const EntryPoint = "/branelet"

// WorkDir is the folder of a package's own files in its image.
const WorkDir = "/opt/wd"

// Environment variables of branelet. Those for the callback service, the proxy and the mounted file system are not among them: without the first, branelet
// prints its result; the others need a privileged container.
const (
	EnvApplication = "BRANE_APPLICATION_ID"
	EnvLocation    = "BRANE_LOCATION_ID"
	EnvJob         = "BRANE_JOB_ID"
	EnvWorkDir     = "BRANE_WORKDIR"
	EnvDebug       = "DEBUG"
	EnvPrefix      = "ENABLE_STDOUT_PREFIX" // makes Brane 3 and newer mark the line of the result
)

// MaxArguments is how long the encoded arguments of a call may be: Linux takes no longer argument of a program.
const MaxArguments = 128<<10 - 1

// Call is a call of a function.
type Call struct {
	Kind      Kind
	Function  string
	Arguments map[string]Value
}

// Args are the arguments of branelet.
func (v Version) Args(call Call) ([]string, error) {
	text, err := v.EncodeArguments(call.Arguments)
	if err != nil {
		return nil, fmt.Errorf("call function %q: %w", call.Function, err)
	}
	return []string{string(call.Kind), call.Function, text}, nil
}

// EncodeArguments is the base64 of the JSON object of all arguments.
func (v Version) EncodeArguments(arguments map[string]Value) (string, error) {
	text, err := v.appendProperties(nil, arguments, 0)
	if err != nil {
		return "", fmt.Errorf("write the arguments for Brane %s: %w", v, err)
	}
	encoded := base64.StdEncoding.EncodeToString(text)
	if len(encoded) > MaxArguments {
		return "", fmt.Errorf("the arguments are %d bytes long when they are encoded, and Linux takes no more than %d: pass large values in files", len(encoded), MaxArguments)
	}
	return encoded, nil
}

// DecodeArguments reads what [Version.EncodeArguments] writes.
func (v Version) DecodeArguments(encoded string) (map[string]Value, error) {
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("read the arguments of a call: they are not base64")
	}
	parsed, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read the arguments of a call: %w", err)
	}
	object, ok := parsed.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read the arguments of a call: they are no object")
	}
	arguments := make(map[string]Value, len(object))
	for name, parsed := range object {
		if arguments[name], err = v.toValue(parsed, 1); err != nil {
			return nil, fmt.Errorf("read argument %q: %w", name, err)
		}
	}
	return arguments, nil
}

// Environment is what branelet needs of it: who calls (the session of Brane's driver), where, and the name of the call.
func (v Version) Environment(application, location, job string) map[string]string {
	env := map[string]string{EnvApplication: application, EnvLocation: location, EnvJob: job}
	switch v {
	case V06:
		env[EnvDebug] = "false"
	case V3, V4:
		env[EnvPrefix] = "1"
	default: // they know neither
	}
	return env
}

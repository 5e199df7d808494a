package plugin

import (
	"cmp"
	"fmt"
	"os"
)

// sdkLevels are the levels of what the libraries log of themselves: a few dozen lines for every request.
var sdkLevels = []string{"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK"}

// logAsAsked lets the libraries log what the CLI would keep, and not more. Left alone they write everything to standard error, as JSON that the CLI reads, parses and
// throws away: a third of the processor's time of a plan, in both programs. What the provider itself logs is not touched.
func logAsAsked() error {
	level := cmp.Or(os.Getenv("TF_LOG_PROVIDER"), os.Getenv("TF_LOG"), "off") // as the CLI chooses; it reads the same environment
	if level == "JSON" || level == "json" {
		level = "trace" // which is what it means beside its format
	}
	for _, name := range sdkLevels {
		if _, chosen := os.LookupEnv(name); chosen {
			continue
		}
		if err := os.Setenv(name, level); err != nil {
			return fmt.Errorf("set the libraries' log level: %w", err)
		}
	}
	return nil
}

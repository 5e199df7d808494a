package workflow

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// leastSecret is the length of the shortest value that is hidden. Hiding shorter ones, such as "1" or "yes", would make texts unreadable
// and protect nothing.
const leastSecret = 4

// HideSecrets returns a function that removes the secrets of a run from a text, because commands may print their environment, and
// Kubernetes their volumes.
func HideSecrets(graph Graph, redisURL string) func(string) string {
	secrets := map[string]bool{redisURL: true}
	if address, err := url.Parse(redisURL); err == nil && address.User != nil {
		password, _ := address.User.Password()
		for _, written := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
			secrets[written] = true
		}
	}
	for _, step := range graph.All() {
		for _, value := range step.SecretEnv {
			secrets[value] = true
			for line := range strings.Lines(value) {
				secrets[strings.TrimRight(line, "\n")] = true // output is reported in lines
			}
		}
	}
	var pairs []string
	// The longest first, because a secret may be the beginning of another.
	for _, secret := range slices.SortedFunc(maps.Keys(secrets), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		if len(secret) >= leastSecret {
			pairs = append(pairs, secret, "(secret)")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

// HideSecrets removes secrets from a failure.
func (f *Failure) HideSecrets(clean func(string) string) {
	lines := func(texts []string) {
		for i := range texts {
			texts[i] = clean(texts[i])
		}
	}
	f.Message, f.Cause, f.Advice = clean(f.Message), clean(f.Cause), clean(f.Advice)
	lines(f.Log)
	lines(f.Events)
	for _, end := range f.Earlier {
		lines(end.Log)
	}
}

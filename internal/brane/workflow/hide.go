package workflow

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// leastSecret is below what hiding would make every text unreadable without keeping anything secret: "1", "yes".
const leastSecret = 4

// Hide makes a function that takes out of a text what the run was given in secret: programs may print their environment, and Kubernetes their volumes. It needs no
// more of a Run than Graph and RedisURL.
func (r *Run) Hide() func(string) string {
	secrets := map[string]bool{r.RedisURL: true}
	if address, err := url.Parse(r.RedisURL); err == nil && address.User != nil {
		password, _ := address.User.Password()
		for _, written := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
			secrets[written] = true
		}
	}
	for _, step := range r.Graph.All() {
		for _, value := range step.SecretEnv {
			secrets[value] = true
			for line := range strings.Lines(value) {
				secrets[strings.TrimRight(line, "\n")] = true // output is told in lines
			}
		}
	}
	var pairs []string
	// The longest first: a secret may be the beginning of another.
	for _, secret := range slices.SortedFunc(maps.Keys(secrets), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		if len(secret) >= leastSecret {
			pairs = append(pairs, secret, "(secret)")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

// hide takes what is secret out of a failure.
func (f *Failure) hide(clean func(string) string) {
	lines := func(texts []string) {
		for i := range texts {
			texts[i] = clean(texts[i])
		}
	}
	f.Message = clean(f.Message)
	lines(f.Log)
	lines(f.Events)
	for _, end := range f.Earlier {
		lines(end.Log)
	}
}

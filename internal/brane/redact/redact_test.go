package redact

import (
	"strings"
	"testing"
)

func TestHideUserInfo(t *testing.T) {
	for value, want := range map[string]string{
		"":                              "",
		"compute":                       "compute",
		"203.0.113.7:6443":              "203.0.113.7:6443",
		"https://203.0.113.7:6443/x":    "https://203.0.113.7:6443/x",
		"http://[2001:db8::1]:50052":    "http://[2001:db8::1]:50052",
		"redis://:pw@h:6379/1":          "redis://…@h:6379/1",
		"redis://u:p@ss/#?w@h,h2:6379":  "redis://…@h,h2:6379",
		"redis://:p%zz@h":               "redis://…@h",
		"redis://h?sentinel_password=p": "redis://h?…",
		"https://:pw":                   "https://…",
		"https://user:pw/path":          "https://…",
		"user:pw@h:1":                   "…@h:1",
		"admin@example.org":             "admin@example.org",
		"r.example.org:5000/tools@sha256:" + strings.Repeat("0f", 32): "r.example.org:5000/tools@sha256:" + strings.Repeat("0f", 32),
	} {
		if got := HideUserInfo(value); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

// FuzzHideUserInfo checks that no password remains, whatever it contains.
func FuzzHideUserInfo(f *testing.F) {
	f.Add("pw", "h:6379/1")
	f.Add("p@:/?#w", "h,h2?x=y")
	f.Fuzz(func(t *testing.T, password, host string) {
		if strings.Contains(host, "@") {
			return // the password would be longer
		}
		const mark = "s3cretWc90"
		for _, value := range []string{"redis://:" + mark + password + "@" + host, "https://user:" + password + mark + "@" + host} {
			if got := HideUserInfo(value); strings.Contains(got, mark) {
				t.Errorf("%q: got %q", value, got)
			}
		}
	})
}

package attribute

import (
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestCIDRMessages(t *testing.T) {
	for text, want := range map[string]string{
		"198.51.100.10/32":     "",
		"2001:db8::/32":        "",
		"0.0.0.0/0":            "",
		"::/0":                 "",
		"198.51.100.10/24":     "did you mean 198.51.100.0/24?",
		"2001:db8::1/32":       "did you mean 2001:db8::/32?",
		"198.51.100.10":        "did you mean 198.51.100.10/32?",
		"2001:db8::1":          "did you mean 2001:db8::1/128?",
		"redis.example.org":    "write addresses, not names",
		"10.0.0.0/33":          "must be a valid CIDR value",
		"010.0.0.0/8":          "leading 0s",
		"::ffff:10.0.0.0/104":  "IPv4-mapped",
		"fe80::1%eth0/64":      "must be a valid CIDR value",
		"":                     "must be a valid CIDR value",
		" 10.0.0.0/8":          "must be a valid CIDR value",
		"10.0.0.0/8,10.1.0./8": "must be a valid CIDR value",
	} {
		got := strings.Join(cidrProblems(text), "; ")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzCIDR(f *testing.F) {
	for _, seed := range []string{"198.51.100.10/32", "2001:db8::/32", "::ffff:10.0.0.0/104", "010.0.0.0/8", "10.0.0.0/08", "fe80::1%eth0/64", "10.0.0.1", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, want := len(cidrProblems(text)) > 0, len(validation.IsValidCIDRForLegacyField(nil, text, true, nil)) > 0
		if got != want {
			t.Errorf("%q: error %t, Kubernetes %t", text, got, want)
		}
		if prefix, err := netip.ParsePrefix(text); !got && (err != nil || prefix != prefix.Masked()) {
			t.Errorf("%q passes", text)
		}
	})
}

func TestPodSecurityVersion(t *testing.T) {
	for text, want := range map[string]bool{
		"latest": true, "v1.35": true, "v1.0": true, "1.35": false, "v1": false, "v2.0": false, "v1.035": false, "v1.35.4": false, "": false, "Latest": false,
	} {
		if got := len(versionProblems(text)) == 0; got != want {
			t.Errorf("%q: valid %t", text, got)
		}
	}
}

func TestRegistryMessages(t *testing.T) {
	for text, want := range map[string]string{
		"registry.example.org":              "",
		"registry.example.org:5000":         "",
		"registry.example.org/team":         "",
		"https://index.docker.io/v1/":       "",
		"docker.io":                         "",
		"ghcr.io":                           "",
		"*.dkr.ecr.eu-west-1.amazonaws.com": "",
		"localhost":                         "",
		"registry:5000":                     "",
		"198.51.100.10:50050":               "",
		"[2001:db8::1]:5000":                "",
		"[2001:db8::1]":                     "needs its port",
		"registry":                          "neither a dot nor a port",
		"library":                           "neither a dot nor a port",
		"registry-1.docker.io":              "write docker.io",
		"hub.docker.com":                    "write docker.io",
		"oci://registry.example.org":        "it has a scheme",
		"docker://registry.example.org":     "it has a scheme",
		"registry.example.org:port":         "must be a number from 1 to 65535",
		"registry.example.org:0":            "must be a number from 1 to 65535",
		"registry.example.org:99999":        "must be a number from 1 to 65535",
		"user:geheim@registry.example.org":  "set username and password_wo",
		"registry.example.org/app:v1":       "write the host and port",
		"registry.example.org/app@sha256":   "write the host and port",
		" registry.example.org":             "white space",
		"registry..org":                     "write the host and port",
		"":                                  "write the host and port",
		"https://":                          "write the host and port",
	} {
		got := strings.Join(registryProblems(text), "; ")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if strings.Contains(got, "geheim") {
			t.Errorf("%q repeats the password", got)
		}
	}
}

// FuzzRegistry checks that a kubelet uses the credentials of every key that passes for the images in that registry (kubernetes/pkg/credentialprovider).
func FuzzRegistry(f *testing.F) {
	for _, seed := range []string{"r.example.org", "r.example.org:5000", "https://index.docker.io/v1/", "r.example.org/team/", "*.example.org", "[::1]:5", "a_b.c", "[a", "r.org/v2/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(registryProblems(text)) > 0 {
			return
		}
		value := text
		if !strings.HasPrefix(value, "https://") && !strings.HasPrefix(value, "http://") {
			value = "https://" + value
		}
		parsed, err := url.Parse(value)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
			t.Fatalf("%q is read as %#v", text, parsed)
		}
		host := parsed.Hostname()
		for i, label := range strings.Split(host, ".") {
			image := strings.NewReplacer("*", "x", "?", "x").Replace(label)
			if ok, err := path.Match(label, image); err != nil || !ok {
				t.Fatalf("%q: part %d of the host does not match: %v", text, i, err)
			}
		}
	})
}

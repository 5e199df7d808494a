package attribute

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"k8s.io/client-go/util/cert"
)

var (
	certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("c")}))
	privateKey  = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("k")}))
)

func TestConnectionValues(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(certificate))
	for name, tt := range map[string]struct {
		problems func(string) []string
		text     string
		want     string
	}{
		"a certificate":               {CertificateProblems, certificate, ""},
		"two, with text around":       {CertificateProblems, "first\n" + certificate + "second\n" + certificate, ""},
		"a key as a certificate":      {CertificateProblems, privateKey, "it contains no certificate, but EC PRIVATE KEY"},
		"base64":                      {CertificateProblems, encoded, "it is base64-encoded, and must be PEM: use base64decode(…)"},
		"base64 in lines":             {CertificateProblems, encoded[:20] + "\n" + encoded[20:] + "\n", "it is base64-encoded, and must be PEM: use base64decode(…)"},
		"a path":                      {CertificateProblems, "/etc/kubernetes/pki/ca.crt", "it is a path, and must be the content of the file: use file(…)"},
		"a relative path":             {PrivateKeyProblems, "client.key", "it is a path, and must be the content of the file: use file(…)"},
		"something else":              {PrivateKeyProblems, "secret", "it is not PEM: it must contain a line such as -----BEGIN PRIVATE KEY-----"},
		"a key":                       {PrivateKeyProblems, privateKey, ""},
		"a token":                     {HeaderValueProblems, "abc.def.ghi", ""},
		"a token with a break":        {HeaderValueProblems, "abc.def.ghi\n", "it begins or ends with a space or a line break: use trimspace(…)"},
		"a token of two lines":        {HeaderValueProblems, "abc\ndef", "it contains a control character, which no HTTP header can contain"},
		"a server":                    {ServerURLProblems, "https://203.0.113.7:6443/k8s/clusters/a", ""},
		"a server by name":            {ServerURLProblems, "https://api.example.org", ""},
		"a server without a scheme":   {ServerURLProblems, "203.0.113.7:6443", "it must be a URL with a scheme and a host, such as https://203.0.113.7:6443"},
		"a server with another":       {ServerURLProblems, "ssh://203.0.113.7", "it must be a URL with a scheme and a host, such as https://203.0.113.7:6443"},
		"a server with a password":    {ServerURLProblems, "https://u:p@203.0.113.7", "it must not contain a user, a query or a fragment"},
		"a proxy":                     {ProxyURLProblems, "socks5://203.0.113.8:1080", ""},
		"a proxy without a scheme":    {ProxyURLProblems, "proxy:3128", "it must be a URL with a scheme (http, https or socks5) and a host, such as http://203.0.113.8:3128"},
		"a proxy with another scheme": {ProxyURLProblems, "ftp://proxy:3128", "it must be a URL with a scheme (http, https or socks5) and a host, such as http://203.0.113.8:3128"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(tt.problems(tt.text), "; "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// FuzzConnectionValues compares the rules with what reads the values in the end: client-go's parser of certificates, net/http and net/url.
func FuzzConnectionValues(f *testing.F) {
	for _, text := range []string{certificate, privateKey, "abc\n", "a\x7fb", "https://h", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "\t"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := cert.ParseCertsPEM([]byte(text)); err == nil && len(CertificateProblems(text)) > 0 {
			t.Errorf("client-go reads certificates from %q", text)
		}
		if len(HeaderValueProblems(text)) == 0 {
			request := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Header: http.Header{"Authorization": {"Bearer " + text}}}
			response, err := http.DefaultTransport.RoundTrip(request)
			if err == nil {
				response.Body.Close()
			} else if strings.Contains(err.Error(), "invalid header") {
				t.Errorf("net/http does not send %q: %v", text, err)
			}
		}
		if len(ServerURLProblems(text)) == 0 {
			if u, err := url.Parse(text); err != nil || u.Host == "" {
				t.Errorf("%q has no host: %v", text, err)
			}
		}
	})
}

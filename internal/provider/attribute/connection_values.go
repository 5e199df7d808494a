package attribute

import (
	"encoding/base64"
	"encoding/pem"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// CertificateProblems returns the problems of PEM-encoded certificates, one sentence each.
func CertificateProblems(text string) []string {
	return pemProblems(text, "certificate", func(kind string) bool { return kind == "CERTIFICATE" })
}

// PrivateKeyProblems returns the problems of a PEM-encoded private key, one sentence each.
func PrivateKeyProblems(text string) []string {
	return pemProblems(text, "private key", func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") })
}

// pemProblems looks for a PEM block of a kind, and for the usual mistakes if there is none.
func pemProblems(text, what string, isWanted func(kind string) bool) []string {
	var found []string
	for rest := []byte(text); ; {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if isWanted(block.Type) {
			return nil
		}
		found, rest = append(found, block.Type), after
	}
	switch {
	case len(found) > 0:
		return []string{"it contains no " + what + ", but " + strings.Join(found, ", ")}
	case isEncodedPEM(text):
		return []string{"it is base64-encoded, and must be PEM: use base64decode(…)"}
	case isPath(text):
		return []string{"it is a path, and must be the content of the file: use file(…)"}
	}
	return []string{"it is not PEM: it must contain a line such as -----BEGIN " + strings.ToUpper(what) + "-----"}
}

func isEncodedPEM(text string) bool {
	content, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	return err == nil && strings.Contains(string(content), "-----BEGIN ")
}

// isPath reports whether a text looks like the path of a file.
func isPath(text string) bool {
	return text != "" && !strings.ContainsAny(text, "\n\r") && (strings.ContainsAny(text[:1], "/~.") || strings.Contains(text, "."))
}

// HeaderValueProblems returns the problems of a value that is sent in an HTTP header, such as a bearer token.
func HeaderValueProblems(text string) []string {
	switch {
	case strings.TrimSpace(text) != text:
		return []string{"it begins or ends with a space or a line break: use trimspace(…)"}
	case !httpguts.ValidHeaderFieldValue(text):
		return []string{"it contains a control character, which no HTTP header can contain"}
	}
	return nil
}

// ServerURLProblems returns the problems of the URL of an API server.
func ServerURLProblems(text string) []string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return []string{"it must be a URL with a scheme and a host, such as https://203.0.113.7:6443"}
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return []string{"it must not contain a user, a query or a fragment"}
	}
	return nil
}

// ServerNameProblems returns the problems of the name for which a certificate must be valid. An invalid name would be repeated by the error of the handshake.
func ServerNameProblems(text string) []string {
	if _, err := netip.ParseAddr(text); err == nil || len(validation.IsDNS1123Subdomain(strings.ToLower(text))) == 0 {
		return nil
	}
	return []string{"it must be a host name or an IP address, such as k8s.example.org"}
}

// RedisURLProblems returns the problems of the URL of a Redis. They contain no password.
func RedisURLProblems(text string) []string {
	if err := files.CheckURL(text); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// ProxyURLProblems returns the problems of the URL of a proxy for the API server, by the rules of client-go.
func ProxyURLProblems(text string) []string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		return []string{"it must be a URL with a scheme (http, https or socks5) and a host, such as http://203.0.113.8:3128"}
	}
	return nil
}

package credentials

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FieldError describes what is wrong with one field of a kubeconfig, and what to write instead. It never contains a secret.
type FieldError struct {
	Field    string // users["brane"].exec; empty for the whole document
	Sentence string
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return "kubeconfig: " + e.Sentence
	}
	return "kubeconfig: " + e.Field + ": " + e.Sentence
}

// FieldErrors returns the field errors in an error of [Parse].
func FieldErrors(err error) []*FieldError {
	var one *FieldError
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if errors.As(err, &one) {
			return []*FieldError{one}
		}
		return nil
	}
	var all []*FieldError
	for _, e := range joined.Unwrap() {
		all = append(all, FieldErrors(e)...)
	}
	return all
}

// parser collects the errors, so that the user sees all of them.
type parser struct {
	errs       []error
	unreadable []*FieldError
}

func (p *parser) addError(field, format string, args ...any) {
	p.errs = append(p.errs, &FieldError{field, fmt.Sprintf(format, args...)})
}

// Parse reads a kubeconfig that will be used inside a Brane container: it must not refer to files or execute programs,
// and must have a current context. The error joins [FieldError]s. It accepts forms that Brane's own readers do not, because [Render] of the result is registered.
func Parse(data []byte) (*Kubeconfig, error) {
	d, root, err := decodeDocument(data)
	if err != nil {
		return nil, err
	}
	p := &parser{}
	if bytes.HasPrefix(data, []byte("\uFEFF")) {
		p.unreadable = append(p.unreadable, &FieldError{"", "it begins with a byte order mark, which Brane takes for a part of the first key"})
	}
	if d.Kind != "" && d.Kind != "Config" || d.APIVersion != "" && d.APIVersion != "v1" {
		p.addError("kind", "the document is not a kubeconfig; its kind must be Config and its apiVersion v1")
	}
	c, ok := p.currentContext(d)
	if !ok {
		return nil, errors.Join(p.errs...)
	}
	k := &Kubeconfig{Name: d.CurrentContext, Namespace: c.Namespace}
	clusters := map[string]cluster{}
	for _, named := range d.Clusters {
		clusters[named.Name] = named.Cluster
	}
	users := map[string]user{}
	for _, named := range d.Users {
		users[named.Name] = named.User
	}
	in := fmt.Sprintf("contexts[%q]", d.CurrentContext)
	if cl, ok := clusters[c.Cluster]; ok {
		p.parseCluster(k, fmt.Sprintf("clusters[%q]", c.Cluster), cl)
	} else {
		p.addError(in+".cluster", "there is no cluster %q; write the name of one under clusters", c.Cluster)
	}
	if u, ok := users[c.User]; ok {
		p.parseUser(k, fmt.Sprintf("users[%q]", c.User), u)
	} else {
		p.addError(in+".user", "there is no user %q; write the name of one under users", c.User)
	}
	if len(d.Users) > 1 {
		k.Warnings = append(k.Warnings, fmt.Sprintf("the kubeconfig contains credentials of other users than %q, and Brane would store all of them; "+
			"kubectl config view --minify --raw prints only the current context", c.User))
	}
	if p.errs != nil {
		return nil, errors.Join(p.errs...)
	}
	k.Unreadable = append(p.unreadable, findUnreadable(root)...)
	return k, nil
}

// Parts of the messages of the YAML decoder that are removed: values, which may be secrets, and the names of our types.
var (
	quoted   = regexp.MustCompile("`[^`]*`?|\"[^\"]*\"?|'[^']*'?")
	intoType = regexp.MustCompile(` into [\w.\[\]]+`)
)

// decodeDocument returns the kubeconfig and the mapping that it is decoded from.
func decodeDocument(data []byte) (document, *yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var tree yaml.Node
	var d document
	err := decoder.Decode(&tree)
	if err == nil {
		err = tree.Decode(&d)
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			return d, nil, &FieldError{"", "the document is empty"}
		}
		reason := strings.TrimPrefix(err.Error(), "yaml: ")
		var types *yaml.TypeError
		if errors.As(err, &types) {
			reason = strings.Join(types.Errors, "; ")
		}
		if looksEncoded(data) {
			reason = "this looks like base64; write the kubeconfig itself, the provider encodes it"
		}
		return d, nil, &FieldError{"", "the document cannot be read: " + quoted.ReplaceAllString(intoType.ReplaceAllString(reason, ""), "…")}
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return d, nil, &FieldError{"", "a second YAML document follows the first; Brane reads one only"}
	}
	return d, tree.Content[0], nil
}

func looksEncoded(data []byte) bool {
	decoded, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(data), nil)))
	return err == nil && len(decoded) > 0
}

// currentContext returns the current context. It rejects duplicate names, because clients differ in which of them they use.
func (p *parser) currentContext(d document) (contextRef, bool) {
	checkUnique(p, "clusters", d.Clusters, func(n namedCluster) string { return n.Name })
	checkUnique(p, "users", d.Users, func(n namedUser) string { return n.Name })
	checkUnique(p, "contexts", d.Contexts, func(n namedContext) string { return n.Name })
	if d.CurrentContext == "" {
		p.addError("current-context", "it is not set; write the name of the context that Brane is to use")
		return contextRef{}, false
	}
	for _, named := range d.Contexts {
		if named.Name == d.CurrentContext {
			return named.Context, p.errs == nil
		}
	}
	p.addError("current-context", "there is no context %q; write the name of one under contexts", d.CurrentContext)
	return contextRef{}, false
}

func checkUnique[T any](p *parser, key string, named []T, name func(T) string) {
	seen := map[string]bool{}
	for _, n := range named {
		if seen[name(n)] {
			p.addError(fmt.Sprintf("%s[%q]", key, name(n)), "the name is used twice; remove one of them")
		}
		seen[name(n)] = true
	}
}

func (p *parser) parseCluster(k *Kubeconfig, at string, c cluster) {
	k.Server, k.Insecure = c.Server, c.Insecure
	switch u, err := url.Parse(c.Server); {
	case c.Server == "":
		p.addError(at+".server", "it is not set; write the API server's address, like https://203.0.113.7:6443")
	case err != nil || u.Hostname() == "":
		p.addError(at+".server", "it is not an address; write it like https://203.0.113.7:6443")
	case u.Scheme != "https":
		p.addError(at+".server", "it does not begin with https://, so the credential would travel unencrypted; write it like https://203.0.113.7:6443")
	case strings.ContainsFunc(c.Server, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		p.addError(at+".server", "it contains a character outside ASCII; write the host in its ASCII form (xn--…)")
	case u.User != nil:
		p.addError(at+".server", "it contains a user name; write only the address, like https://203.0.113.7:6443")
	}
	if c.CAFile != "" {
		p.addError(at+".certificate-authority", "it names a file, which does not exist inside Brane; write its content as certificate-authority-data (base64 of the PEM)")
	}
	k.CA = p.decodeData(at+".certificate-authority-data", c.CAData)
	if c.TLSServerName != "" {
		p.addError(at+".tls-server-name", "Brane's client does not support it; use a server whose certificate is valid for the host in server")
	}
	if c.ProxyURL != "" {
		p.addError(at+".proxy-url", "Brane's client does not support it; use a server that Brane reaches directly")
	}
	switch {
	case c.Insecure && c.CAData != "":
		p.addError(at+".insecure-skip-tls-verify", "it contradicts certificate-authority-data; remove it")
	case c.Insecure:
		k.Warnings = append(k.Warnings, "the server's certificate is not verified (insecure-skip-tls-verify), so a host on the network path can read the credential")
	case c.CAData == "" && c.CAFile == "":
		k.Warnings = append(k.Warnings, "there is no certificate-authority-data, so the server's certificate must be issued by a CA that Brane's container trusts")
	case len(k.CA) > 0 && !isPEM(k.CA):
		k.Warnings = append(k.Warnings, "certificate-authority-data contains no PEM certificate")
	}
}

func (p *parser) parseUser(k *Kubeconfig, at string, u user) {
	const instead = "write a token, or client-certificate-data with client-key-data"
	for _, plugin := range []struct {
		field string
		value yaml.Node
	}{{"exec", u.Exec}, {"auth-provider", u.AuthProvider}} {
		if plugin.value.Kind != 0 && plugin.value.Tag != "!!null" {
			p.addError(at+"."+plugin.field, "Brane cannot run a plugin inside its container; "+instead)
		}
	}
	for _, file := range []struct{ field, value, instead string }{
		{"tokenFile", u.TokenFile, "token"},
		{"client-certificate", u.ClientCertFile, "client-certificate-data (base64 of the PEM)"},
		{"client-key", u.ClientKeyFile, "client-key-data (base64 of the PEM)"},
	} {
		if file.value != "" {
			p.addError(at+"."+file.field, "it names a file, which does not exist inside Brane; write its content as %s", file.instead)
		}
	}
	if u.Username != "" || u.Password != "" {
		p.addError(at+".username", "Kubernetes has not supported passwords since 1.19; "+instead)
	}
	if u.As != "" {
		p.addError(at+".as", "Brane does not support impersonation; use the credential of that user")
	}
	if strings.ContainsFunc(u.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		p.addError(at+".token", "it contains a space, a line break or a character outside ASCII; write the token itself, not encoded with base64")
	}
	k.Token = u.Token
	k.ClientCertificate = p.decodeData(at+".client-certificate-data", u.ClientCertData)
	k.ClientKey = p.decodeData(at+".client-key-data", u.ClientKeyData)
	switch {
	case u.ClientCertData != "" && u.ClientKeyData == "" && u.ClientKeyFile == "":
		p.addError(at+".client-key-data", "it is not set, but the client certificate needs its key; write the key (base64 of the PEM)")
	case u.ClientKeyData != "" && u.ClientCertData == "" && u.ClientCertFile == "":
		p.addError(at+".client-certificate-data", "it is not set, but the client key needs its certificate; write the certificate (base64 of the PEM)")
	case p.errs == nil && u.Token == "" && u.ClientCertData == "":
		p.addError(at, "it has no credential; %s", instead)
	case u.Token != "" && u.ClientCertData != "":
		p.addError(at+".token", "the user also has a client certificate, and clients differ in which of them they use; remove one of them")
	case k.Insecure && u.ClientCertData != "":
		k.Warnings = append(k.Warnings, "Brane before 0.6.1 ignores insecure-skip-tls-verify for a user with a client certificate, and does not accept the server's certificate; write certificate-authority-data instead")
	}
}

// decodeData decodes a …-data field.
func (p *parser) decodeData(field, value string) []byte {
	if value == "" {
		return nil
	}
	compact := strings.Join(strings.Fields(value), "")
	if compact != value {
		p.unreadable = append(p.unreadable, &FieldError{field, "it contains a line break or a space, which Brane's base64 decoder does not accept"})
	}
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(compact, "=")) // Brane accepts missing padding as well
	switch {
	case err == nil:
		return decoded
	case strings.Contains(compact, "-----BEGIN"):
		p.addError(field, "it is PEM; encode it with base64")
	case strings.ContainsAny(compact, "-_"):
		p.addError(field, "it is base64 in the URL-safe alphabet; use the standard alphabet (+ and / instead of - and _)")
	default:
		p.addError(field, "it is not base64; encode the PEM with base64 once")
	}
	return nil
}

func isPEM(data []byte) bool {
	block, _ := pem.Decode(data)
	return block != nil
}

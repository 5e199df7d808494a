package infra

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Location is one entry of infra.yml: what Terraform calls an infrastructure, a cluster on which Brane may run tasks. The fields are named after the keys
// of the file.
type Location struct {
	Name         string // its name in BraneScript: on "compute" { … }
	Address      string // host:port of the API server
	CallbackTo   string // callback service: http://host:50052
	Namespace    string
	Registry     string // host:port of the image registry, as the nodes reach it
	ProxyAddress string // optional
	MountDFS     string // optional: redis://host[:port]
	SecretName   string // the entry of secrets.yml with the kubeconfig; empty means Name. Empty when read: infra.yml itself has the kubeconfig
	Kind         string // empty means "kube", the only kind that is written; "local", "vm" and "slurm" are only read
}

// FieldError reports an invalid field of a location.
type FieldError struct {
	Field    string // the key in infra.yml, or "name" or "secret_name"
	Sentence string
}

func (e FieldError) Error() string { return e.Field + ": " + e.Sentence }

// Change is a field whose value differs from the wanted one.
type Change struct{ Field, Have, Want string }

func (c Change) String() string {
	return fmt.Sprintf("%s is %q instead of %q", c.Field, c.Have, c.Want)
}

const kindKube = "kube"

var (
	nameRule      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	namespaceRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostRule      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	pathRule      = regexp.MustCompile(`^(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
)

// Validate checks what Brane itself checks late or never. It returns nil if the location is valid.
func (l Location) Validate() []FieldError {
	var problems []FieldError
	check := func(field, sentence string) {
		if sentence != "" {
			problems = append(problems, FieldError{field, sentence})
		}
	}
	check("name", nameProblem(l.Name, "location name"))
	if l.Kind != "" && l.Kind != kindKube {
		check("kind", fmt.Sprintf("only locations of kind %q can be written, not %q", kindKube, l.Kind))
	}
	check("address", hostPortProblem(l.Address, "203.0.113.7:6443"))
	check("callback_to", callbackProblem(l.CallbackTo))
	if !namespaceRule.MatchString(l.Namespace) {
		check("namespace", fmt.Sprintf("%q is not a valid namespace name: use 1 to 63 lower-case letters, digits and \"-\", with a letter or digit at both ends", l.Namespace))
	}
	check("registry", registryProblem(l.Registry))
	if l.ProxyAddress != "" {
		check("proxy_address", proxyProblem(l.ProxyAddress))
	}
	if l.MountDFS != "" {
		check("mount_dfs", mountProblem(l.MountDFS))
	}
	if l.SecretName != "" {
		check("secret_name", nameProblem(l.SecretName, "secret name"))
	}
	return problems
}

// Diff returns the fields that differ from those of a wanted location, in the order of the file.
func (l Location) Diff(want Location) []Change {
	l.Kind, want.Kind = cmp.Or(l.Kind, kindKube), cmp.Or(want.Kind, kindKube)
	want.SecretName = cmp.Or(want.SecretName, want.Name)
	var changes []Change
	for _, c := range []Change{
		{"name", l.Name, want.Name},
		{"kind", l.Kind, want.Kind},
		{"address", l.Address, want.Address},
		{"callback_to", l.CallbackTo, want.CallbackTo},
		{"namespace", l.Namespace, want.Namespace},
		{"registry", l.Registry, want.Registry},
		{"proxy_address", l.ProxyAddress, want.ProxyAddress},
		{"mount_dfs", l.MountDFS, want.MountDFS},
		{"secret_name", l.SecretName, want.SecretName},
	} {
		if c.Have != c.Want {
			changes = append(changes, c)
		}
	}
	return changes
}

// toNode returns the location as it is written to infra.yml. If have is a location of kind kube, keys that Brane does not know, comments and the order
// of the keys are taken from it.
func (l Location) toNode(have *yaml.Node) *yaml.Node {
	n, credentials := mappingNode(), mappingNode()
	if have != nil && have.Kind == yaml.MappingNode && stringAt(have, "kind") == kindKube {
		n = copyBlock(have)
		if c, _ := findEntry(have, "credentials"); c.value.Kind == yaml.MappingNode && stringAt(c.value, "mechanism") == "config" {
			credentials = copyBlock(c.value)
		}
	}
	setKey(n, "", "kind", stringNode(kindKube))
	setKey(n, "kind", "address", stringNode(l.Address))
	setKey(n, "address", "callback_to", stringNode(l.CallbackTo))
	setKey(n, "callback_to", "namespace", stringNode(l.Namespace))
	setKey(n, "namespace", "registry", stringNode(l.Registry))
	setOptional(n, "registry", "proxy_address", l.ProxyAddress)
	setOptional(n, "registry", "mount_dfs", l.MountDFS)
	setKey(credentials, "", "mechanism", stringNode("config"))
	setKey(credentials, "mechanism", "file", stringNode(secretPrefix+cmp.Or(l.SecretName, l.Name)))
	setKey(n, scalarText(n.Content[len(n.Content)-2]), "credentials", credentials)
	return n
}

func nameProblem(name, what string) string {
	if nameRule.MatchString(name) {
		return ""
	}
	return fmt.Sprintf("%q is not a valid %s: use 1 to 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends", name, what)
}

func hostPortProblem(v, example string) string {
	if strings.Contains(v, "://") {
		return fmt.Sprintf("%q has a scheme; write host:port alone, like %s", v, example)
	}
	host, port, err := net.SplitHostPort(v)
	if err != nil || !validHost(host) || !validPort(port) {
		return fmt.Sprintf("%q is not host:port, like %s", v, example)
	}
	return ""
}

func callbackProblem(v string) string {
	const example = "http://198.51.100.10:50052"
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf("%q does not begin with http:// or https://; write Brane's callback service with its scheme, like %s", v, example)
	case !validHost(u.Hostname()) || u.Port() != "" && !validPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return fmt.Sprintf("%q has no valid host and port, like %s", v, example)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return fmt.Sprintf("%q has more than scheme, host and port; write it like %s", v, example)
	case isLocal(u.Hostname()):
		return fmt.Sprintf("%q is connected to from inside the step's container, where %s is the container itself; use an address of the control plane", v, u.Hostname())
	}
	return ""
}

func registryProblem(v string) string {
	const example = "198.51.100.10:50050"
	if strings.Contains(v, "://") {
		return fmt.Sprintf("%q has a scheme; image names begin with host:port alone, like %s", v, example)
	}
	hostPort, path, found := strings.Cut(v, "/")
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		host, port = hostPort, "443"
	}
	if !validHost(host) || !validPort(port) || found && !pathRule.MatchString("/"+path) {
		return fmt.Sprintf("%q is not host:port, like %s", v, example)
	}
	if err != nil && !strings.Contains(host, ".") && host != "localhost" {
		return fmt.Sprintf("%q would be read as a docker.io user in an image name; add the port, like %s", v, example)
	}
	return ""
}

func proxyProblem(v string) string {
	hostPort := v
	if _, behind, found := strings.Cut(v, "://"); found {
		hostPort = strings.TrimSuffix(behind, "/")
	}
	if hostPortProblem(hostPort, "") != "" {
		return fmt.Sprintf("%q is not host:port, like 198.51.100.10:1080", v)
	}
	return ""
}

func mountProblem(v string) string {
	const example = "redis://198.51.100.10"
	u, err := url.Parse(v)
	switch {
	case err != nil || !strings.HasPrefix(v, "redis://"):
		return fmt.Sprintf("the address does not begin with redis://; write it like %s", example) // not repeated, as it may contain a password
	case !validHost(u.Hostname()) || u.Port() != "" && !validPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return fmt.Sprintf("the address has no valid host and port; write it like %s", example)
	case isLocal(u.Hostname()):
		return fmt.Sprintf("the file system is mounted inside the step's container, where %s is the container itself; use an address of the control plane", u.Hostname())
	}
	return ""
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return hostRule.MatchString(host)
}

// isLocal reports whether a host is the machine, or the container, that connects to it.
func isLocal(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return addr.IsLoopback() || addr.IsUnspecified()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasPrefix(host, "127.")
}

package infra

import (
	"cmp"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/braneframework/terraform-provider-brane/internal/brane/redact"
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

// String describes the change without passwords: what another actor has written to the file may contain one in any field. The value of mount_dfs is not shown,
// because it usually does.
func (c Change) String() string {
	if c.Field == "mount_dfs" {
		switch {
		case c.Have == "":
			return "mount_dfs is missing"
		case c.Want == "":
			return "mount_dfs is set"
		}
		return "mount_dfs has another value"
	}
	return fmt.Sprintf("%s is %q instead of %q", c.Field, redact.HideUserInfo(c.Have), redact.HideUserInfo(c.Want))
}

const kindKube = "kube"

var (
	nameRule      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	namespaceRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
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
	check("address", hostPortProblem(l.Address, serverExample))
	check("callback_to", callbackProblem(l.CallbackTo))
	if !namespaceRule.MatchString(l.Namespace) {
		check("namespace", fmt.Sprintf("%q is not a valid namespace name: use 1 to 63 lower-case letters, digits and \"-\", with a letter or digit at both ends", redact.HideUserInfo(l.Namespace)))
	}
	check("registry", registryProblem(l.Registry))
	if l.ProxyAddress != "" {
		check("proxy_address", hostPortProblem(l.ProxyAddress, proxyExample)) // branelet resolves it as it is
	}
	if l.MountDFS != "" {
		check("mount_dfs", mountProblem(l.MountDFS))
	}
	if l.SecretName != "" {
		check("secret_name", nameProblem(l.SecretName, "secret name"))
	}
	return problems
}

// WithoutUserInfo returns the location as it can be shown: without user information in addresses, where Brane cannot use it. mount_dfs, which may contain a
// password, is kept.
func (l Location) WithoutUserInfo() Location {
	for _, field := range []*string{&l.Address, &l.CallbackTo, &l.Namespace, &l.Registry, &l.ProxyAddress} {
		*field = redact.HideUserInfo(*field)
	}
	return l
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
	return fmt.Sprintf("%q is not a valid %s: use 1 to 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends", redact.HideUserInfo(name), what)
}

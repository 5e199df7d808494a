package provider_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// marker is a secret that must not appear anywhere except in the attribute that is set to it, and in sensitive attributes.
const marker = "s3cretWc90"

// urls are the forms of a URL in which a password can be, also of URLs that nobody can parse.
var urls = []string{
	"redis://:" + marker + "@198.51.100.10:6379/1",
	"https://user:" + marker + "@198.51.100.10:6443",
	"http://user:" + marker + "@198.51.100.10:50052",
	"rediss://:" + marker + "@mymaster,198.51.100.10,198.51.100.11:26379/1",
	"redis://:" + marker + "#x@198.51.100.10/1",
	"redis://:x/" + marker + "@198.51.100.10/1",
	"redis://:" + marker + "%zz@198.51.100.10",
	"redis://:" + marker + " x@198.51.100.10",
	"redis+sentinel://198.51.100.10/0?sentinel_password=" + marker,
	"redis://198.51.100.10/0?" + marker + "=1",
	"https://:" + marker,
	"user:" + marker + "@198.51.100.10:6443",
}

// theirFiles is an infra.yml in which another actor has written the secret into every address.
const theirFiles = `locations:
  theirs:
    kind: kube
    address: https://user:` + marker + `@198.51.100.10:6443
    callback_to: http://user:` + marker + `@198.51.100.10:50052
    namespace: brane
    registry: user:` + marker + `@198.51.100.10:50050
    proxy_address: socks5://user:` + marker + `@198.51.100.10:1080
    mount_dfs: redis://:` + marker + `@198.51.100.10
    credentials: {mechanism: config, file: s$theirs}
  vm:
    kind: vm
    address: https://user:` + marker + `@198.51.100.10
    callback_to: http://user:` + marker + `@198.51.100.10:50052
    runtime: docker
    registry: user:` + marker + `@198.51.100.10:50050
    mount_dfs: redis://:` + marker + `@198.51.100.10
    credentials: {mechanism: ssh-password, username: u, password: s$vm}
`

// leaf is a string in a schema: the names of the attributes that lead to it.
type leaf struct {
	path   []string
	secret bool // whether it, or what it is in, is sensitive or write-only
}

func (l leaf) String() string { return strings.Join(l.path, ".") }

// findLeaves returns all strings that a configuration can set.
func findLeaves(attributes []*tfprotov6.SchemaAttribute, at []string, secret bool) []leaf {
	var found []leaf
	for _, a := range attributes {
		path, secret := append(slices.Clone(at), a.Name), secret || a.Sensitive || a.WriteOnly
		switch {
		case !a.Optional && !a.Required:
		case a.NestedType != nil:
			found = append(found, findLeaves(a.NestedType.Attributes, path, secret)...)
		case hasString(a.Type):
			found = append(found, leaf{path, secret})
		}
	}
	return found
}

// hasString reports whether a type is a string, or a collection of them.
func hasString(typ tftypes.Type) bool {
	switch typ := typ.(type) {
	case tftypes.List:
		return hasString(typ.ElementType)
	case tftypes.Set:
		return hasString(typ.ElementType)
	case tftypes.Map:
		return hasString(typ.ElementType)
	}
	return typ.Is(tftypes.String)
}

// setLeaf returns a copy of a value of a type with the string at a path replaced. Of a collection, its only element is replaced, which is added if there is none.
func setLeaf(typ tftypes.Type, from any, path []string, value string) any {
	switch typ := typ.(type) {
	case tftypes.Object:
		object, _ := from.(acctest.Object)
		object = acctest.MergeObjects(object)
		object[path[0]] = setLeaf(typ.AttributeTypes[path[0]], object[path[0]], path[1:], value)
		return object
	case tftypes.Map:
		object, _ := from.(acctest.Object)
		object = acctest.MergeObjects(object)
		key := "k"
		for only := range object {
			key = only
		}
		object[key] = setLeaf(typ.ElementType, object[key], path, value)
		return object
	case tftypes.List:
		return setOnly(typ.ElementType, from, path, value)
	case tftypes.Set:
		return setOnly(typ.ElementType, from, path, value)
	}
	return value
}

func setOnly(typ tftypes.Type, from any, path []string, value string) any {
	var element any
	if elements, _ := from.([]any); len(elements) > 0 {
		element = elements[0]
	}
	return []any{setLeaf(typ, element, path, value)}
}

// markers returns the values to set an attribute to.
func markers(l leaf) []string {
	switch {
	case l.secret:
		return append([]string{marker, "\n" + marker, marker + "\x00"}, urls...)
	case len(l.path) > 2 || l.path[0] == "clusters": // deep in a step or a namespace, where no URL is expected
		return []string{urls[0], urls[4], urls[7], urls[11]}
	}
	return urls
}

// isRepeated reports whether messages repeat a string because it identifies an object, a file or a step, or because it is an element of a set, which the framework
// writes into the path of the attribute. Durations have a type of the framework, whose errors repeat them. None of them is a URL, so that nobody writes a password
// into it. All other strings must be hidden.
func isRepeated(l leaf) bool {
	return slices.ContainsFunc(l.path, func(name string) bool {
		return slices.Contains([]string{
			"cluster", "infrastructure", "file_set", "source", "directory", "file", "package", "needs", "reads", "writes", "mount_path", "config_path", "command", // references and files
			"requests", "limits", "size_limit", "data_size_limit", // quantities
			"cidrs", "protocols", "subjects", "rules", "image_pull_secrets", "capabilities", // sets
			"timeouts", "lifetime", "renew_before", "startup_timeout", "scheduling_timeout", "timeout", "retention", // durations
		}, name)
	}) || l.String() == "name"
}

// unreachable replaces the host of a value by one that refuses connections immediately.
func unreachable(value string) string {
	return regexp.MustCompile(`198\.51\.100\.1[01](:[0-9]+)?`).ReplaceAllString(value, "127.0.0.1:1")
}

// TestNoSecretOfAResourceIsShown sets each string of each resource, data source, ephemeral resource and action to a secret.
func TestNoSecretOfAResourceIsShown(t *testing.T) {
	o := newObserver(t)
	o.configure(o.base["provider"])
	acctest.NoError(t, os.WriteFile(filepath.Join(o.directory(), "infra.yml"), []byte(theirFiles), 0o600))
	type kind struct {
		prefix  string
		schemas map[string]*tfprotov6.Schema
		use     func(name string, config acctest.Object, own leaf)
	}
	actions := map[string]*tfprotov6.Schema{}
	for name, action := range o.Schemas.ActionSchemas {
		actions[name] = action.Schema
	}
	for _, kind := range []kind{
		{"", o.Schemas.ResourceSchemas, o.manage},
		{"data.", o.Schemas.DataSourceSchemas, o.read},
		{"", o.Schemas.EphemeralResourceSchemas, func(name string, config acctest.Object, _ leaf) { o.open(name, config) }},
		{"", actions, func(name string, config acctest.Object, _ leaf) { o.invoke(name, config) }},
	} {
		for _, name := range slices.Sorted(maps.Keys(kind.schemas)) {
			base, ok := o.base[kind.prefix+name]
			if !ok {
				if base, ok = o.base[name]; !ok {
					t.Fatalf("there is no configuration of %s", name)
				}
			}
			schema := kind.schemas[name]
			for _, own := range findLeaves(schema.Block.Attributes, nil, false) {
				if isRepeated(own) {
					continue
				}
				for i, value := range markers(own) {
					config, _ := setLeaf(schema.ValueType(), base, own.path, value).(acctest.Object)
					kind.use(name, config, own)
					o.check(fmt.Sprintf("%s%s.%s, value %d", kind.prefix, name, own, i))
				}
			}
		}
	}
}

var variablePattern = regexp.MustCompile("`([A-Z_]+)` environment variable")

// TestNoSecretOfTheProviderIsShown sets each string of the provider block, and each environment variable, to a secret.
func TestNoSecretOfTheProviderIsShown(t *testing.T) {
	for _, name := range []string{"KUBE_CONFIG_PATH", "KUBE_HOST", "KUBE_CTX", "KUBE_TOKEN", "BRANE_REDIS_URL", "BRANE_CONTROL_PLANE_DIRECTORY"} {
		t.Setenv(name, "")
	}
	use := func(t *testing.T, change func(o *observer) acctest.Object, resource, what string) {
		t.Helper()
		o := newObserver(t)
		if o.configure(change(o)) {
			o.manage(resource, o.base[resource], leaf{})
		}
		o.check(what)
	}
	schema := acctest.NewProtocol(t).Schemas.Provider
	for _, own := range findLeaves(schema.Block.Attributes, nil, false) {
		if isRepeated(own) {
			continue
		}
		t.Run(own.String(), func(t *testing.T) {
			for i, value := range markers(own) {
				value := unreachable(value)
				use(t, func(o *observer) acctest.Object {
					config, _ := setLeaf(schema.ValueType(), o.base["provider"], own.path, value).(acctest.Object)
					return config
				}, userOf(own.path[0]), "value "+strconv.Itoa(i))
			}
		})
	}
	for _, variable := range findVariables(schema.Block.Attributes) {
		if variable == "KUBE_CONFIG_PATH" || variable == "BRANE_CONTROL_PLANE_DIRECTORY" {
			continue // files, as in isRepeated
		}
		t.Run(variable, func(t *testing.T) {
			for i, value := range markers(leaf{secret: true}) {
				if strings.Contains(value, "\x00") {
					continue // no environment can contain it
				}
				t.Setenv(variable, unreachable(value))
				use(t, func(*observer) acctest.Object { return nil }, userOf(variable), "alone, value "+strconv.Itoa(i))
				use(t, func(o *observer) acctest.Object {
					return acctest.Object{"kubernetes": o.base["provider"]["kubernetes"]}
				}, userOf(variable), "with a cluster, value "+strconv.Itoa(i))
			}
		})
	}
}

// TestNoSecretOfAKubeconfigFileIsShown writes the secret into the URLs of a kubeconfig file.
func TestNoSecretOfAKubeconfigFileIsShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	for i, value := range urls {
		for field, change := range map[string]string{
			"server":    fmt.Sprintf("server: %q", value),
			"proxy-url": fmt.Sprintf("proxy-url: %q, server: %q", value, "https://127.0.0.1:1"),
		} {
			text := strings.Replace(acctest.Kubeconfig, `server: "https://203.0.113.7:6443", certificate-authority-data: Q0E=`, unreachable(change), 1)
			acctest.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			o := newObserver(t)
			if o.configure(acctest.Object{"kubernetes": acctest.Object{"config_path": file}, "control_plane": o.base["provider"]["control_plane"]}) {
				o.manage("brane_namespace", o.base["brane_namespace"], leaf{})
				token := acctest.MergeObjects(o.base["brane_infrastructure"], acctest.Object{"credentials": nil})
				o.manage("brane_infrastructure", token, leaf{})
				o.open("brane_kubeconfig", o.base["brane_kubeconfig"])
			}
			o.check(fmt.Sprintf("%s, value %d", field, i))
		}
	}
}

// TestNoSecretOfAFunctionIsShown passes the secret to each function, in each argument and in each attribute of an argument.
func TestNoSecretOfAFunctionIsShown(t *testing.T) {
	o := newObserver(t)
	call := func(name string, arguments ...tftypes.Value) {
		var encoded []*tfprotov6.DynamicValue
		for _, argument := range arguments {
			typ := argument.Type()
			if argument.Type().Is(tftypes.Object{}) {
				typ = tftypes.DynamicPseudoType
			}
			encoded = append(encoded, o.EncodeValue(typ, argument))
		}
		resp, err := o.CallFunction(o.Context, &tfprotov6.CallFunctionRequest{Name: name, Arguments: encoded})
		acctest.NoError(t, err)
		if resp.Error != nil {
			o.said.WriteString(resp.Error.Text)
		}
		o.check(name)
	}
	text := func(value string) tftypes.Value { return tftypes.NewValue(tftypes.String, value) }
	object := func(fields map[string]string) tftypes.Value {
		types, values := map[string]tftypes.Type{}, map[string]tftypes.Value{}
		for name, value := range fields {
			types[name], values[name] = tftypes.String, text(value)
		}
		return tftypes.NewValue(tftypes.Object{AttributeTypes: types}, values)
	}
	location := map[string]string{"address": "h:1", "callback_to": "http://h:1", "namespace": "n", "registry": "h:1", "proxy_address": "h:1", "mount_dfs": "redis://h", "secret_name": "s"}
	for _, value := range urls {
		for name := range location {
			changed := maps.Clone(location)
			changed[name] = value
			one := object(changed)
			call("infra_yml", tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"compute": one.Type()}}, map[string]tftypes.Value{"compute": one}))
		}
		call("backend_yml", text("3"), object(map[string]string{"config": "/k", "registry_address": value}))
		call("backend_yml", text("2"), object(map[string]string{"config": "/k", "address": value}))
		call("backend_yml", text("2"), object(map[string]string{"config": value, "address": "h:1"}))
		call("backend_yml", text(value), object(map[string]string{"config": "/k", "address": "h:1"}))
		for i := range 4 {
			arguments := []tftypes.Value{text("h:1"), text(""), text("t"), text("n")}
			arguments[i] = text(value)
			call("kubeconfig", arguments...)
		}
		for _, part := range []string{"https://203.0.113.7:6443", "Q0E=", "TOKEN", "kind: Config"} {
			changed := strings.Replace(acctest.Kubeconfig, part, value, 1)
			call("secrets_yml", tftypes.NewValue(tftypes.Map{ElementType: tftypes.String}, map[string]tftypes.Value{"compute": text(changed)}))
		}
	}
}

// userOf returns the resource that needs a part of the provider block, by the name of its attribute or variable.
func userOf(name string) string {
	if strings.Contains(strings.ToLower(name), "redis") {
		return "brane_file_set"
	}
	return "brane_namespace"
}

// findVariables returns the environment variables in the descriptions of attributes.
func findVariables(attributes []*tfprotov6.SchemaAttribute) []string {
	var found []string
	for _, a := range attributes {
		for _, match := range variablePattern.FindAllStringSubmatch(a.Description, -1) {
			found = append(found, match[1])
		}
		if a.NestedType != nil {
			found = append(found, findVariables(a.NestedType.Attributes)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

package provider_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-log/tflogtest"
	"github.com/hashicorp/terraform-plugin-log/tfsdklogtest"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// bases are configurations to which an attribute is added, by type.
func bases(server *httptest.Server, directory string) map[string]acctest.Object {
	kubeconfig := strings.NewReplacer("https://203.0.113.7:6443", server.URL).Replace(acctest.Kubeconfig)
	step := acctest.Object{"image": "registry.example.org/tools:1", "command": []any{"true"}}
	return map[string]acctest.Object{
		"provider": {
			"kubernetes":    acctest.Object{"host": server.URL, "token": "t", "cluster_ca_certificate": serverCA(server)},
			"control_plane": acctest.Object{"directory": directory},
			"redis":         acctest.Object{"url": "redis://127.0.0.1:1"},
		},
		"brane_namespace": {"name": "compute", "timeouts": acctest.Object{"create": "1s", "read": "1s", "delete": "1s"}},
		"brane_infrastructure": {
			"name": "compute", "namespace": "brane", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052", "verify_credentials": false,
			"timeouts":    acctest.Object{"create": "1s", "read": "1s", "update": "1s", "delete": "1s"},
			"credentials": acctest.Object{"kubeconfig_wo": kubeconfig, "kubeconfig_wo_version": 1},
		},
		"brane_workflow_run": {
			"name": "run", "infrastructure": "registered", "timeouts": acctest.Object{"create": "1s", "read": "1s", "delete": "1s"}, "steps": acctest.Object{"only": step},
		},
		"brane_run_workflow":         {"name": "run", "infrastructure": "registered", "timeout": "1s", "steps": acctest.Object{"only": step}},
		"brane_file_set":             {"name": "files", "timeouts": acctest.Object{"create": "100ms"}, "files": acctest.Object{"a.txt": acctest.Object{"content": "a"}}},
		"brane_file":                 {"file_set": "files-1", "path": "a.txt"},
		"data.brane_infrastructure":  {"name": "registered"},
		"data.brane_namespace":       {"name": "compute"},
		"data.brane_package":         {"directory": directory},
		"brane_kubeconfig":           {"namespace": "brane"},
		"brane_rotate_credential":    {"infrastructure": "registered"},
		"data.brane_infrastructures": {},
	}
}

func serverCA(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// observer is a provider of which everything that leaves it is collected.
type observer struct {
	*acctest.Protocol
	said bytes.Buffer
	base map[string]acctest.Object
}

// newObserver starts a provider, next to an API server that forbids everything and a directory of configuration files.
func newObserver(t *testing.T) *observer {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"forbidden by the test","reason":"Forbidden","code":403}`)
	}))
	t.Cleanup(server.Close)
	o := &observer{Protocol: acctest.NewProtocol(t)}
	o.base = bases(server, t.TempDir())
	t.Setenv("TF_LOG_PROVIDER_BRANE_KUBERNETES", "TRACE")
	t.Setenv("TF_LOG_PROVIDER_BRANE_REDIS", "TRACE")
	o.Context = tflogtest.RootLogger(tfsdklogtest.RootLogger(t.Context(), &o.said), &o.said)
	return o
}

func (o *observer) note(diagnostics []*tfprotov6.Diagnostic) {
	o.said.WriteString(acctest.FormatDiagnostics(diagnostics) + "\n")
}

// directory returns the directory of the configuration files.
func (o *observer) directory() string {
	directory, _ := o.base["provider"]["control_plane"].(acctest.Object)["directory"].(string)
	return directory
}

// configure configures the provider, and reports whether it can be used then.
func (o *observer) configure(config acctest.Object) bool {
	validated, err := o.ValidateProviderConfig(o.Context, &tfprotov6.ValidateProviderConfigRequest{Config: o.EncodeObject(o.Schemas.Provider, config)})
	acctest.NoError(o.T, err)
	o.note(validated.Diagnostics)
	if acctest.HasErrors(validated.Diagnostics) {
		return false
	}
	configured := o.Configure(config, false)
	o.note(configured.Diagnostics)
	return !acctest.HasErrors(configured.Diagnostics)
}

// noteValue notes what is in a value outside of sensitive attributes and of the attribute own.
func (o *observer) noteValue(schema *tfprotov6.Schema, encoded *tfprotov6.DynamicValue, own leaf) {
	if encoded == nil {
		return
	}
	value, err := encoded.Unmarshal(schema.ValueType())
	acctest.NoError(o.T, err)
	secrets := map[string]bool{}
	collectSecretPaths(schema.Block.Attributes, "", secrets)
	acctest.NoError(o.T, tftypes.Walk(value, func(at *tftypes.AttributePath, v tftypes.Value) (bool, error) {
		name := attributeNames(at)
		if secrets[name] || name == own.String() {
			return false, nil
		}
		if v.IsKnown() && !v.IsNull() && v.Type().Is(tftypes.String) {
			var text string
			acctest.NoError(o.T, v.As(&text))
			fmt.Fprintf(&o.said, "%s = %q\n", name, text)
		}
		return true, nil
	}))
}

func collectSecretPaths(attributes []*tfprotov6.SchemaAttribute, at string, secrets map[string]bool) {
	for _, a := range attributes {
		if a.Sensitive || a.WriteOnly {
			secrets[at+a.Name] = true
		}
		if a.NestedType != nil {
			collectSecretPaths(a.NestedType.Attributes, at+a.Name+".", secrets)
		}
	}
}

// attributeNames returns the names of the attributes of a path, without the keys of collections.
func attributeNames(at *tftypes.AttributePath) string {
	var names []string
	for _, step := range at.Steps() {
		if name, ok := step.(tftypes.AttributeName); ok {
			names = append(names, string(name))
		}
	}
	return strings.Join(names, ".")
}

// manage creates, refreshes, plans and destroys a resource; between, another actor changes the secret in the configuration files.
func (o *observer) manage(name string, config acctest.Object, own leaf) {
	schema := o.Schemas.ResourceSchemas[name]
	validated, err := o.ValidateResourceConfig(o.Context, &tfprotov6.ValidateResourceConfigRequest{
		TypeName: name, Config: o.EncodeObject(schema, config),
		ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
	})
	acctest.NoError(o.T, err)
	o.note(validated.Diagnostics)
	if acctest.HasErrors(validated.Diagnostics) {
		return
	}
	l := o.NewLifecycle(name)
	o.note(l.Apply(config))
	o.noteValue(schema, l.State, own)
	if !l.Exists() {
		return
	}
	o.changeFiles()
	o.note(l.Refresh())
	o.noteValue(schema, l.State, own)
	plan, _ := l.PlanChange(config)
	o.note(plan.Diagnostics)
	o.noteValue(schema, plan.PlannedState, own)
	o.readLocations()
	o.note(l.Apply(nil))
}

// changeFiles replaces the marker in the configuration files by another one, which contains it.
func (o *observer) changeFiles() {
	for _, name := range []string{"infra.yml", "secrets.yml"} {
		file := filepath.Join(o.directory(), name)
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		}
		acctest.NoError(o.T, err)
		acctest.NoError(o.T, os.WriteFile(file, bytes.ReplaceAll(text, []byte(marker), []byte(marker+"-changed")), 0o600))
	}
}

// readLocations reads what the configuration files contain with the data sources and the list resource.
func (o *observer) readLocations() {
	for _, name := range []string{"brane_infrastructures", "brane_infrastructure"} {
		for _, location := range []string{"compute", "registered", "theirs", "vm"} {
			o.read(name, acctest.Object{"name": location}, leaf{})
		}
	}
	lister, ok := o.ProviderServer.(tfprotov6.ListResourceServer)
	if !ok {
		o.T.Fatal("the provider lists nothing")
	}
	stream, err := lister.ListResource(o.Context, &tfprotov6.ListResourceRequest{
		TypeName: "brane_infrastructure", Config: o.EncodeObject(o.Schemas.ListResourceSchemas["brane_infrastructure"], nil), Limit: 10, IncludeResource: true,
	})
	acctest.NoError(o.T, err)
	for result := range stream.Results {
		o.note(result.Diagnostics)
		o.said.WriteString(result.DisplayName + "\n")
		o.noteValue(o.Schemas.ResourceSchemas["brane_infrastructure"], result.Resource, leaf{})
	}
}

func (o *observer) read(name string, config acctest.Object, own leaf) {
	schema := o.Schemas.DataSourceSchemas[name]
	encoded := o.EncodeObject(schema, config)
	validated, err := o.ValidateDataResourceConfig(o.Context, &tfprotov6.ValidateDataResourceConfigRequest{TypeName: name, Config: encoded})
	acctest.NoError(o.T, err)
	o.note(validated.Diagnostics)
	if acctest.HasErrors(validated.Diagnostics) {
		return
	}
	resp, err := o.ReadDataSource(o.Context, &tfprotov6.ReadDataSourceRequest{TypeName: name, Config: encoded})
	acctest.NoError(o.T, err)
	o.note(resp.Diagnostics)
	o.noteValue(schema, resp.State, own)
}

// open opens an ephemeral resource.
func (o *observer) open(name string, config acctest.Object) {
	validated, err := o.ValidateEphemeralResourceConfig(o.Context, &tfprotov6.ValidateEphemeralResourceConfigRequest{
		TypeName: name, Config: o.EncodeObject(o.Schemas.EphemeralResourceSchemas[name], config),
	})
	acctest.NoError(o.T, err)
	o.note(validated.Diagnostics)
	if !acctest.HasErrors(validated.Diagnostics) {
		o.note(o.OpenEphemeral(name, config).Diagnostics)
	}
}

// invoke validates and runs an action.
func (o *observer) invoke(name string, config acctest.Object) {
	actions, ok := o.ProviderServer.(tfprotov6.ActionServer)
	if !ok {
		o.T.Fatal("the provider has no actions")
	}
	validated, err := actions.ValidateActionConfig(o.Context, &tfprotov6.ValidateActionConfigRequest{ActionType: name, Config: o.EncodeObject(o.Schemas.ActionSchemas[name].Schema, config)})
	acctest.NoError(o.T, err)
	o.note(validated.Diagnostics)
	if !acctest.HasErrors(validated.Diagnostics) {
		o.said.WriteString(strings.Join(o.Invoke(name, config), "\n"))
	}
}

// check fails if the marker is in what has left the provider.
func (o *observer) check(what string) {
	o.T.Helper()
	text := o.said.String()
	if at := strings.Index(text, marker); at >= 0 {
		o.T.Errorf("%s: the secret is in …%s…", what, text[max(0, at-250):min(len(text), at+60)])
	}
	o.said.Reset()
}

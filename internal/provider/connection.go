package provider

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// A connection to a cluster has exactly one source: a block with config_path, a block with host, a block with in_cluster, or the environment. Server, CA and
// identity come from it as a whole. If sources were merged, the credential of one cluster could be sent to another, and an administrator's certificate in a file
// would take precedence over a token in the block. There is one exception: KUBE_TOKEN is the identity of a block that sets host and no identity.

// connectionAttributes are the attributes that describe a connection, with the environment variables for the connection of `kubernetes`.
var connectionAttributes = []struct{ name, variable string }{
	{"config_path", "KUBE_CONFIG_PATH"},
	{"config_context", "KUBE_CTX"},
	{"host", "KUBE_HOST"},
	{"token", tokenVariable},
	{"client_certificate", "KUBE_CLIENT_CERT_DATA"},
	{"client_key", "KUBE_CLIENT_KEY_DATA"},
	{"cluster_ca_certificate", "KUBE_CLUSTER_CA_CERT_DATA"},
	{"tls_server_name", "KUBE_TLS_SERVER_NAME"},
	{"proxy_url", "KUBE_PROXY_URL"},
	{"insecure", "KUBE_INSECURE"},
	{"exec", ""},
	{"in_cluster", ""},
}

const tokenVariable = "KUBE_TOKEN"

// connectionSettings are the settings of one source, by attribute. A setting that is empty or false is missing.
type connectionSettings struct {
	values map[string]string
	exec   *kube.Exec
	label  func(attribute string) string // how a message calls a setting
}

func (s connectionSettings) has(attribute string) bool { return s.values[attribute] != "" }

// toConnection converts the block of one cluster. It returns nil if a part of the block is not known before apply. useEnvironment allows the environment to be the
// source if the block is none.
func toConnection(ctx context.Context, at path.Path, block types.Object, useEnvironment bool, diags *diag.Diagnostics) *kube.Connection {
	if attribute.HasUnknown(block) {
		return nil
	}
	var m kubernetesModel
	if !attribute.DecodeObject(ctx, block, &m, diags) && !block.IsNull() {
		return &kube.Connection{}
	}
	written := m.toSettings(ctx, at, diags)
	environment := connectionSettings{values: map[string]string{}, label: variableOf}
	if useEnvironment {
		environment = readEnvironment()
	}
	chosen := written
	if !written.has("config_path") && !written.has("host") && !written.has("in_cluster") {
		chosen = environment
		chosen.complete(at, written, diags)
		chosen.checkVariables(at, diags)
	} else {
		written.addToken(at, environment, diags)
		written.warnIgnored(at, environment, diags)
	}
	chosen.check(at, diags)
	c := chosen.toConnection()
	c.QPS, c.Burst = int(m.QPS.ValueInt64()), int(m.Burst.ValueInt64())
	return &c
}

// toSettings returns what the block sets.
func (m kubernetesModel) toSettings(ctx context.Context, at path.Path, diags *diag.Diagnostics) connectionSettings {
	s := connectionSettings{label: func(attribute string) string { return at.AtName(attribute).String() }, values: map[string]string{
		"config_path":            expandHome(m.ConfigPath.ValueString()),
		"config_context":         m.ConfigContext.ValueString(),
		"host":                   m.Host.ValueString(),
		"token":                  m.Token.ValueString(),
		"client_certificate":     m.ClientCertificate.ValueString(),
		"client_key":             m.ClientKey.ValueString(),
		"cluster_ca_certificate": m.ClusterCACertificate.ValueString(),
		"tls_server_name":        m.TLSServerName.ValueString(),
		"proxy_url":              m.ProxyURL.ValueString(),
	}}
	for name, value := range map[string]types.Bool{"insecure": m.Insecure, "in_cluster": m.InCluster} {
		if value.ValueBool() {
			s.values[name] = strconv.FormatBool(true)
		}
	}
	var exec execModel
	if !m.Exec.IsNull() && attribute.DecodeObject(ctx, m.Exec, &exec, diags) {
		s.exec = &kube.Exec{APIVersion: exec.APIVersion.ValueString(), Command: exec.Command.ValueString(), Args: exec.Args, Env: exec.Env}
		s.values["exec"] = exec.Command.ValueString()
	}
	return s
}

func variableOf(attribute string) string {
	for _, a := range connectionAttributes {
		if a.name == attribute {
			return "the environment variable " + a.variable
		}
	}
	return attribute
}

// readEnvironment returns what the environment sets.
func readEnvironment() connectionSettings {
	s := connectionSettings{values: map[string]string{}, label: variableOf}
	for _, a := range connectionAttributes {
		if a.variable != "" {
			s.values[a.name] = os.Getenv(a.variable)
		}
	}
	s.values["config_path"] = expandHome(s.values["config_path"])
	if insecure, err := strconv.ParseBool(s.values["insecure"]); err == nil && !insecure {
		s.values["insecure"] = ""
	}
	return s
}

// checkVariables adds an error for each invalid variable of the environment. The schema validates the attributes of a block.
func (s connectionSettings) checkVariables(at path.Path, diags *diag.Diagnostics) {
	if _, err := strconv.ParseBool(s.values["insecure"]); err != nil && s.has("insecure") {
		diags.AddAttributeError(at.AtName("insecure"), "Invalid environment variable", "The environment variable KUBE_INSECURE is not a boolean (true or false). Correct or unset it.")
	}
	for name, problems := range map[string]func(string) []string{
		"host": attribute.ServerURLProblems, "token": attribute.HeaderValueProblems, "client_certificate": attribute.CertificateProblems, "client_key": attribute.PrivateKeyProblems,
		"cluster_ca_certificate": attribute.CertificateProblems, "proxy_url": attribute.ProxyURLProblems, "tls_server_name": attribute.ServerNameProblems,
	} {
		checkVariable(at.AtName(name), variableOf(name), s.values[name], problems, diags)
	}
}

// checkVariable adds an error for an invalid value of an environment variable, which the message does not contain.
func checkVariable(at path.Path, label, value string, problems func(string) []string, diags *diag.Diagnostics) {
	if value == "" {
		return
	}
	if found := problems(value); len(found) > 0 {
		diags.AddAttributeError(at, "Invalid environment variable", fmt.Sprintf("The value of %s is not valid: %s.", label, strings.Join(found, "; ")))
	}
}

// complete adds to the environment what a block without a source may set: the context of the file. Everything else is an error, because the block would be merged
// with the environment.
func (s connectionSettings) complete(at path.Path, written connectionSettings, diags *diag.Diagnostics) {
	for _, a := range connectionAttributes {
		switch {
		case !written.has(a.name):
		case a.name == "config_context" && s.has("config_path"):
			s.values[a.name] = written.values[a.name]
		case a.name == "config_context":
			addConflict(diags, at.AtName(a.name), fmt.Sprintf("The attribute %s selects a context of a kubeconfig file, and no file is set. Set %s.", written.label(a.name), at.AtName("config_path")))
		default:
			addConflict(diags, at.AtName(a.name), fmt.Sprintf("The attribute %s is set, but the block names no cluster. Set %s as well: server, CA and identity come from one source as a whole, and are not "+
				"merged with environment variables.", written.label(a.name), at.AtName("host")))
		}
	}
}

// addToken makes KUBE_TOKEN the identity of a block that sets host and no identity.
func (s connectionSettings) addToken(at path.Path, environment connectionSettings, diags *diag.Diagnostics) {
	if s.has("host") && len(s.identities()) == 0 {
		s.values["token"] = environment.values["token"]
		checkVariable(at.AtName("token"), variableOf("token"), s.values["token"], attribute.HeaderValueProblems, diags)
	}
}

// warnIgnored adds one warning that names the environment variables that are set and ignored, because the block is the source.
func (s connectionSettings) warnIgnored(at path.Path, environment connectionSettings, diags *diag.Diagnostics) {
	var ignored []string
	for _, a := range connectionAttributes {
		if environment.has(a.name) && environment.values[a.name] != s.values[a.name] {
			ignored = append(ignored, a.variable)
		}
	}
	if len(ignored) > 0 {
		diags.AddAttributeWarning(at, "Environment variables ignored", fmt.Sprintf(
			"The provider block describes the connection to the cluster, so these environment variables have no effect: %s. Unset them to remove this warning.", strings.Join(ignored, ", ")))
	}
}

// identities returns the attributes that set an identity.
func (s connectionSettings) identities() []string {
	var found []string
	for _, name := range []string{"token", "client_certificate", "exec"} {
		if s.has(name) {
			found = append(found, name)
		}
	}
	return found
}

// check adds an error for each setting that contradicts another.
func (s connectionSettings) check(at path.Path, diags *diag.Diagnostics) {
	sources := []struct {
		name    string
		allowed []string
	}{
		{"config_path", []string{"config_context"}},
		{"in_cluster", nil},
		{"host", []string{"token", "client_certificate", "client_key", "cluster_ca_certificate", "tls_server_name", "proxy_url", "insecure", "exec"}},
	}
	for _, source := range sources {
		if !s.has(source.name) {
			continue
		}
		for _, a := range connectionAttributes {
			if a.name != source.name && s.has(a.name) && !slices.Contains(source.allowed, a.name) {
				addConflict(diags, at.AtName(a.name), fmt.Sprintf("Both %s and %s are set. Server, CA and identity of a connection come from one source as a whole. Remove one of the two.",
					s.label(source.name), s.label(a.name)))
			}
		}
		if source.name == "host" {
			s.checkHost(at, diags)
		}
		return
	}
}

// checkHost adds an error for each setting of a connection by host that contradicts another, or needs one that is missing.
func (s connectionSettings) checkHost(at path.Path, diags *diag.Diagnostics) {
	if found := s.identities(); len(found) > 1 {
		addConflict(diags, at.AtName(found[1]), fmt.Sprintf("Both %s and %s are set, and each is an identity. The API server would use only one of them. Remove the other.",
			s.label(found[0]), s.label(found[1])))
	}
	for one, other := range map[string]string{"client_certificate": "client_key", "client_key": "client_certificate"} {
		if s.has(one) && !s.has(other) {
			addConflict(diags, at.AtName(one), fmt.Sprintf("A client certificate needs a key: %s is set without %s.", s.label(one), s.label(other)))
		}
	}
	if s.has("insecure") && s.has("cluster_ca_certificate") {
		addConflict(diags, at.AtName("insecure"), fmt.Sprintf("Both %s and %s are set. Without verification the CA certificate has no effect. Remove one of the two.",
			s.label("insecure"), s.label("cluster_ca_certificate")))
	}
}

func addConflict(diags *diag.Diagnostics, at path.Path, detail string) {
	diags.AddAttributeError(at, "Conflicting connection settings", detail)
}

func (s connectionSettings) toConnection() kube.Connection {
	return kube.Connection{
		ConfigPath:           s.values["config_path"],
		ConfigContext:        s.values["config_context"],
		Host:                 s.values["host"],
		Token:                s.values["token"],
		ClientCertificate:    s.values["client_certificate"],
		ClientKey:            s.values["client_key"],
		ClusterCACertificate: s.values["cluster_ca_certificate"],
		TLSServerName:        s.values["tls_server_name"],
		ProxyURL:             s.values["proxy_url"],
		Insecure:             s.has("insecure"),
		InCluster:            s.has("in_cluster"),
		Exec:                 s.exec,
	}
}

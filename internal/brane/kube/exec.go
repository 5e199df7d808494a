package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/pkg/apis/clientauthentication"
	"k8s.io/client-go/pkg/apis/clientauthentication/install"
	clientauthenticationv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	clientauthenticationv1beta1 "k8s.io/client-go/pkg/apis/clientauthentication/v1beta1"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/transport"
)

// plugin runs an exec credential plugin and keeps its credential until it expires or is rejected. client-go's own runs it without a limit, so that a plugin that
// waits for a browser blocks every request, and passes its messages to the stderr of this process, which the CLI does not show.
type plugin struct {
	config  *clientcmdapi.ExecConfig
	version schema.GroupVersion
	cluster *clientauthentication.Cluster // nil unless the plugin asks for it
	turn    chan struct{}                 // held by the request that runs the plugin
	current atomic.Pointer[pluginCredential]
}

type pluginCredential struct {
	token       string
	certificate *tls.Certificate
	status      *clientauthentication.ExecCredentialStatus
}

func (c *pluginCredential) isExpired() bool {
	expires := c.status.ExpirationTimestamp
	return expires != nil && !time.Now().Before(expires.Time)
}

// PluginError reports that an exec credential plugin returned no credential.
type PluginError struct {
	Command string
	Err     error
	Stderr  string // its last lines
}

func (e *PluginError) Error() string {
	text := fmt.Sprintf("the exec plugin %q returned no credential: %v", e.Command, e.Err)
	if e.Stderr != "" {
		text += "; its last output was:\n" + e.Stderr
	}
	return text
}

func (e *PluginError) Unwrap() error { return e.Err }

// Remedy returns what to do about it.
func (e *PluginError) Remedy() string {
	return "Run the plugin in a terminal to see whether it needs a login. Terraform cannot show a prompt or open a browser for it."
}

var (
	errPluginHangs = errors.New("it does not answer, and was stopped at the timeout of the operation")

	pluginScheme = runtime.NewScheme()
	pluginCodecs = serializer.NewCodecFactory(pluginScheme)
)

func init() { install.Install(pluginScheme) }

// newPlugin returns the plugin of a configuration, and takes it out of the configuration.
func newPlugin(config *rest.Config) (*plugin, error) {
	p := &plugin{config: config.ExecProvider, turn: make(chan struct{}, 1)}
	for _, known := range []schema.GroupVersion{clientauthenticationv1.SchemeGroupVersion, clientauthenticationv1beta1.SchemeGroupVersion} {
		if known.String() == p.config.APIVersion {
			p.version = known
		}
	}
	if p.version.Empty() {
		return nil, fmt.Errorf("the exec plugin %q has the API version %q, which is not supported: use client.authentication.k8s.io/v1 or v1beta1",
			p.config.Command, p.config.APIVersion)
	}
	if p.config.ProvideClusterInfo {
		var err error
		if p.cluster, err = rest.ConfigToExecCluster(config); err != nil {
			return nil, err
		}
	}
	config.ExecProvider = nil
	return p, nil
}

// newHTTPClient returns a client whose requests have the plugin's credential.
func (p *plugin) newHTTPClient(config *rest.Config) (*http.Client, error) {
	transportConfig, err := config.TransportConfig()
	if err != nil {
		return nil, err
	}
	transportConfig.TLS.GetCertHolder = &transport.GetCertHolder{GetCert: func() (*tls.Certificate, error) {
		if credential := p.current.Load(); credential != nil {
			return credential.certificate, nil
		}
		return nil, nil //nolint:nilnil // client-go takes it for no certificate
	}}
	transportConfig.Wrap(func(next http.RoundTripper) http.RoundTripper { return pluginTransport{p, next} })
	web, err := transport.New(transportConfig)
	return &http.Client{Transport: web}, err
}

// pluginTransport adds the plugin's credential to requests.
type pluginTransport struct {
	plugin *plugin
	next   http.RoundTripper
}

// RoundTrip sends a request. After a rejection, the next request runs the plugin again.
func (t pluginTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	credential, err := t.plugin.credential(request.Context())
	if err != nil {
		return nil, err
	}
	if credential.token != "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+credential.token)
	}
	response, err := t.next.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusUnauthorized && t.plugin.current.CompareAndSwap(credential, nil) && credential.certificate != nil {
		utilnet.CloseIdleConnectionsFor(t.next)
	}
	return response, err
}

// WrappedRoundTripper returns the transport below, for client-go, which looks for the one that it can close.
func (t pluginTransport) WrappedRoundTripper() http.RoundTripper { return t.next }

// credential returns the kept credential, or runs the plugin.
func (p *plugin) credential(ctx context.Context) (*pluginCredential, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, p.hangs(ctx, "")
	}
	if kept := p.current.Load(); kept != nil && !kept.isExpired() {
		return kept, nil
	}
	credential, err := p.run(ctx)
	if err == nil {
		p.current.Store(credential)
	}
	return credential, err
}

func (p *plugin) hangs(ctx context.Context, stderr string) error {
	return &PluginError{p.config.Command, fmt.Errorf("%w: %w", errPluginHangs, context.Cause(ctx)), stderr}
}

// run executes the plugin. Its process group is killed when ctx ends.
func (p *plugin) run(ctx context.Context) (*pluginCredential, error) {
	failed := func(err error, stderr string) (*pluginCredential, error) {
		return nil, &PluginError{p.config.Command, err, stderr}
	}
	if p.config.InteractiveMode == clientcmdapi.AlwaysExecInteractiveMode {
		return failed(errors.New("it needs a terminal (interactiveMode: Always), which Terraform does not have"), "")
	}
	asked := &clientauthentication.ExecCredential{Spec: clientauthentication.ExecCredentialSpec{Cluster: p.cluster}}
	request, err := runtime.Encode(pluginCodecs.LegacyCodec(p.version), asked)
	if err != nil {
		return failed(err, "")
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, p.config.Command, p.config.Args...)
	command.Env = os.Environ()
	for _, variable := range p.config.Env {
		command.Env = append(command.Env, variable.Name+"="+variable.Value)
	}
	command.Env = append(command.Env, "KUBERNETES_EXEC_INFO="+string(request))
	command.Stdout, command.Stderr, command.WaitDelay = &stdout, &stderr, time.Second
	killGroup(command)
	err = command.Run()
	said := lastLines(stderr.String())
	var missing *exec.Error
	switch {
	case ctx.Err() != nil:
		return nil, p.hangs(ctx, said)
	case errors.As(err, &missing), errors.Is(err, os.ErrNotExist):
		return failed(errors.New(strings.TrimSpace("the executable was not found. "+p.config.InstallHint)), "")
	case err != nil:
		return failed(err, said)
	}
	credential, err := p.decode(stdout.Bytes())
	if err != nil {
		return failed(err, said)
	}
	return credential, nil
}

// decode reads the plugin's output. No error contains it, because it is a credential.
func (p *plugin) decode(output []byte) (*pluginCredential, error) {
	answer := &clientauthentication.ExecCredential{}
	_, kind, err := pluginCodecs.UniversalDecoder(p.version).Decode(output, nil, answer)
	switch {
	case err != nil:
		return nil, errors.New("its output is not an ExecCredential")
	case kind.GroupVersion() != p.version:
		return nil, fmt.Errorf("its output is of version %s instead of %s", kind.GroupVersion(), p.version)
	case answer.Status == nil || answer.Status.Token == "" && answer.Status.ClientCertificateData == "":
		return nil, errors.New("its output contains neither a token nor a client certificate")
	}
	credential := &pluginCredential{token: answer.Status.Token, status: answer.Status}
	if answer.Status.ClientCertificateData != "" {
		certificate, err := tls.X509KeyPair([]byte(answer.Status.ClientCertificateData), []byte(answer.Status.ClientKeyData))
		if err != nil {
			return nil, fmt.Errorf("its client certificate is not valid: %w", err)
		}
		credential.certificate = &certificate
	}
	return credential, nil
}

// lastLines returns the last lines of what a plugin wrote to stderr.
func lastLines(text string) string {
	const most = 10
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// configWithCredential returns the configuration for a connection that does not use the HTTP client.
func (c *Client) configWithCredential(ctx context.Context) (*rest.Config, error) {
	if c.plugin == nil {
		return c.config, nil
	}
	credential, err := c.plugin.credential(ctx)
	if err != nil {
		return nil, err
	}
	config := rest.CopyConfig(c.config)
	config.BearerToken = credential.token
	config.CertData, config.KeyData = []byte(credential.status.ClientCertificateData), []byte(credential.status.ClientKeyData)
	return config, nil
}

// Package kube is a client for one Kubernetes cluster: a few generic verbs for the API types that Brane needs. It has its own scheme and uses fixed
// group versions, so it needs no discovery, no clientset and no cache; responses are encoded as protobuf.
//
// It does not depend on Brane, Redis or Terraform, and does not interpret objects.
package kube

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// FieldManager is the name of this client in the managed fields of objects.
const FieldManager = "terraform-provider-brane"

// Request limits of a configuration that sets none.
const (
	defaultQPS   = 100
	defaultBurst = 200
)

// Object is one API object, for example *corev1.Namespace.
type Object interface {
	metav1.Object
	runtime.Object
}

// List is a list of API objects, for example *corev1.PodList.
type List interface {
	metav1.ListInterface
	runtime.Object
}

// Client sends requests to one cluster. It is safe for concurrent use.
type Client struct {
	config *rest.Config
	plugin *plugin // nil unless a program returns the credential
	groups map[schema.GroupVersion]rest.Interface
	away   atomic.Int64 // when a request last found the server unreachable, in Unix nanoseconds
	writes atomic.Int64 // incremented before and after each write, which makes earlier reads stale

	answers answers
}

// resource is the path segment of a kind in the API.
type resource struct {
	name       string
	namespaced bool
}

var (
	scheme = newScheme()
	codecs = serializer.NewCodecFactory(scheme)
	params = runtime.NewParameterCodec(scheme)

	resources = map[schema.GroupVersionKind]resource{
		corev1.SchemeGroupVersion.WithKind("Namespace"):                        {"namespaces", false},
		corev1.SchemeGroupVersion.WithKind("ServiceAccount"):                   {"serviceaccounts", true},
		corev1.SchemeGroupVersion.WithKind("Secret"):                           {"secrets", true},
		corev1.SchemeGroupVersion.WithKind("ConfigMap"):                        {"configmaps", true},
		corev1.SchemeGroupVersion.WithKind("Pod"):                              {"pods", true},
		corev1.SchemeGroupVersion.WithKind("Service"):                          {"services", true},
		corev1.SchemeGroupVersion.WithKind("Event"):                            {"events", true},
		corev1.SchemeGroupVersion.WithKind("Node"):                             {"nodes", false},
		corev1.SchemeGroupVersion.WithKind("ResourceQuota"):                    {"resourcequotas", true},
		corev1.SchemeGroupVersion.WithKind("LimitRange"):                       {"limitranges", true},
		networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"):              {"networkpolicies", true},
		batchv1.SchemeGroupVersion.WithKind("Job"):                             {"jobs", true},
		rbacv1.SchemeGroupVersion.WithKind("Role"):                             {"roles", true},
		rbacv1.SchemeGroupVersion.WithKind("RoleBinding"):                      {"rolebindings", true},
		rbacv1.SchemeGroupVersion.WithKind("ClusterRole"):                      {"clusterroles", false},
		rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"):               {"clusterrolebindings", false},
		authenticationv1.SchemeGroupVersion.WithKind("SelfSubjectReview"):      {"selfsubjectreviews", false},
		authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"): {"selfsubjectaccessreviews", false},
		authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectRulesReview"):  {"selfsubjectrulesreviews", false},
	}
)

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, batchv1.AddToScheme, rbacv1.AddToScheme, networkingv1.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			panic(err) // two types with one name in our own list: no input can cause it
		}
	}
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	return s
}

// New creates a client from a REST configuration without contacting the server. The groups share one HTTP client and one rate limiter.
func New(config *rest.Config) (*Client, error) {
	c := rest.CopyConfig(config)
	c.NegotiatedSerializer = codecs.WithoutConversion()
	c.ContentType = runtime.ContentTypeProtobuf
	c.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	c.UserAgent = FieldManager
	// By default the server's warnings are written to stderr, which Terraform shows without their origin.
	c.WarningHandler = rest.NoWarnings{}
	if c.QPS == 0 {
		c.QPS = defaultQPS
	}
	if c.Burst == 0 {
		c.Burst = max(defaultBurst, int(c.QPS))
	}
	if c.RateLimiter == nil {
		c.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(c.QPS, c.Burst)
	}
	c.Wrap(func(next http.RoundTripper) http.RoundTripper { return limitingTransport{next} })
	var credentials *plugin
	newHTTPClient := rest.HTTPClientFor
	if c.ExecProvider != nil {
		var err error
		if credentials, err = newPlugin(c); err != nil {
			return nil, fmt.Errorf("set up the connection to %s: %w", c.Host, err)
		}
		newHTTPClient = credentials.newHTTPClient
	}
	web, err := newHTTPClient(c)
	if err != nil {
		return nil, fmt.Errorf("set up the connection to %s: %w", c.Host, err)
	}
	groups := map[schema.GroupVersion]rest.Interface{}
	for gvk := range resources {
		gv := gvk.GroupVersion()
		if groups[gv] != nil {
			continue
		}
		if groups[gv], err = restClient(c, gv, web); err != nil {
			return nil, fmt.Errorf("set up the connection to %s: %w", c.Host, err)
		}
	}
	return &Client{config: c, plugin: credentials, groups: groups}, nil
}

func restClient(c *rest.Config, gv schema.GroupVersion, web *http.Client) (rest.Interface, error) {
	gc := rest.CopyConfig(c)
	gc.GroupVersion = &gv
	gc.APIPath = "/apis"
	if gv.Group == "" {
		gc.APIPath = "/api"
	}
	return rest.RESTClientForConfigAndClient(gc, web)
}

// Host returns the address of the API server, for example "https://203.0.113.7:6443".
func (c *Client) Host() string { return c.config.Host }

// CA returns the CA certificate that the connection trusts, as PEM; empty means the system's.
func (c *Client) CA() ([]byte, error) {
	config := rest.CopyConfig(c.config)
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("read the CA certificate of %s: %w", c.Host(), err)
	}
	return config.CAData, nil
}

// StaticToken returns the token of the connection if it stays the same as long as this process runs; empty if there is none, or if it is read again from a file
// or an exec plugin.
func (c *Client) StaticToken() string {
	if c.plugin != nil || c.config.BearerTokenFile != "" {
		return ""
	}
	return c.config.BearerToken
}

// IsInsecure reports whether the connection does not verify the certificate of the API server.
func (c *Client) IsInsecure() bool { return c.config.Insecure }

// ServerName returns the name for which the certificate of the API server must be valid; empty means the host of its address.
func (c *Client) ServerName() string { return c.config.ServerName }

// newRequest starts a request for the kind of obj, or for the kind of a list's elements.
func (c *Client) newRequest(obj runtime.Object, verb, namespace string) (*rest.Request, error) {
	gvk, err := kindOf(obj)
	if err != nil {
		return nil, err
	}
	r, ok := resources[gvk]
	if !ok {
		return nil, fmt.Errorf("kind %s is not supported by this client", gvk)
	}
	return c.groups[gvk.GroupVersion()].Verb(verb).NamespaceIfScoped(namespace, r.namespaced && namespace != "").Resource(r.name), nil
}

// sendChange sends a request that changes an object.
func (c *Client) sendChange(ctx context.Context, r *rest.Request, obj runtime.Object) error {
	c.writes.Add(1)
	defer c.writes.Add(1)
	return c.sendRequest(ctx, r, obj)
}

// answerWithin is the timeout of a request, and of the beginning of a watch. An API server itself ends a request after a minute (--request-timeout).
const answerWithin = 65 * time.Second

var errNoAnswer = fmt.Errorf("the API server did not answer within %s", answerWithin)

// sendRequest sends the request and decodes the response into obj.
func (c *Client) sendRequest(ctx context.Context, r *rest.Request, obj runtime.Object) error {
	return c.sendAndDecode(ctx, r, func(response rest.Result) error { return response.Into(obj) })
}

// awaitTurn waits until the rate limiter allows another request.
func (c *Client) awaitTurn(ctx context.Context) error {
	err := c.config.RateLimiter.Wait(ctx)
	if err == nil {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done() // the limiter has seen the deadline before the context's own timer
	}
	return withCause(ctx, fmt.Errorf("wait for the client's rate limit of %g requests per second: %w", c.config.QPS, err))
}

// sendAndDecode sends the request and decodes its response. The timeout does not include the wait for the rate limiter, which takes minutes if the QPS is low and
// there are many requests.
func (c *Client) sendAndDecode(ctx context.Context, r *rest.Request, decode func(rest.Result) error) error {
	if err := c.awaitTurn(ctx); err != nil {
		return err
	}
	ctx, done := context.WithTimeoutCause(ctx, answerWithin, errNoAnswer)
	defer done()
	err := withCause(ctx, decode(r.Throttle(nil).Do(ctx)))
	if IsUnreachable(err) {
		c.away.Store(time.Now().UnixNano())
	}
	return err
}

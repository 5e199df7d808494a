package clients_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

const aFile = `resource "brane_file_set" "test" {
  name  = "corpus"
  files = { a = { content = "alice" } }
}
`

func TestAccRedis_tls(t *testing.T) {
	t.Parallel()
	server := redistest.StartTLS(t, "--requirepass", "s3cret")
	const heredoc = "    %s = <<EOT\n%sEOT\n"
	ca := fmt.Sprintf(heredoc, "ca_certificate", server.CA)
	client := fmt.Sprintf(heredoc, "client_certificate", server.Cert) + fmt.Sprintf(heredoc, "client_key", server.Key)
	t.Run("with a client's certificate", func(t *testing.T) {
		t.Parallel()
		resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.ProviderFactories, Steps: []resource.TestStep{{Config: acctest.RedisConfig(server.URL(), ca+client, aFile)}}})
	})
	for name, tt := range map[string]struct{ more, want string }{
		"an authority that nobody knows":   {client, "certificate signed by unknown authority"},
		"a CA that is no PEM":              {client + "    ca_certificate = \"x\"\n", "redis.ca_certificate is not valid: it is not PEM"},
		"a CA in base64":                   {client + fmt.Sprintf("    ca_certificate = %q\n", base64.StdEncoding.EncodeToString(server.CA)), "use base64decode"},
		"a key that is a path":             {ca + fmt.Sprintf(heredoc, "client_certificate", server.Cert) + "    client_key = \"/etc/redis/client.key\"\n", "redis.client_key is not valid: it is a path"},
		"a certificate without a key":      {ca + fmt.Sprintf(heredoc, "client_certificate", server.Cert), "Invalid Attribute Combination"},
		"a key that is not the one for it": {ca + fmt.Sprintf(heredoc, "client_certificate", server.CA) + fmt.Sprintf(heredoc, "client_key", server.Key), "the client certificate and key for redis: tls: private key does not match public key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acctest.ExpectError(t, resource.TestStep{Config: acctest.RedisConfig(server.URL(), tt.more, aFile)}, []string{tt.want})
		})
	}
}

// A password can be set separately from the URL or in the environment, so that the URL contains no secret.
func TestAccRedis_password(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "p@ss/word")
	url := "redis://" + server.Addr() + "/0"
	acctest.ExpectError(t, resource.TestStep{Config: acctest.RedisConfig(url, "", aFile)}, []string{"NOAUTH Authentication required"},
		resource.TestStep{Config: acctest.RedisConfig(url, `    password = "p@ss/word"`, aFile)})
	t.Setenv("BRANE_REDIS_PASSWORD", "p@ss/word")
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.ProviderFactories, Steps: []resource.TestStep{{Config: acctest.RedisConfig(url, "", aFile)}}})
	acctest.ExpectError(t, resource.TestStep{Config: acctest.RedisConfig("redis://:another@"+server.Addr()+"/0", "", aFile)}, []string{"Correct user and password in redis.url"})
}

// A Redis that can evict keys is an error, or a warning with allow_eviction.
func TestAccRedis_eviction(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
	acctest.ExpectError(t, resource.TestStep{Config: acctest.RedisConfig(server.URL(), "", aFile)}, []string{"redis may evict files when its memory is full: its maxmemory-policy is allkeys-lru"},
		resource.TestStep{Config: acctest.RedisConfig(server.URL(), "    allow_eviction = true", aFile)})
}

// Files that exceed the memory of Redis are rejected before any of them is sent.
func TestAccRedis_full(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "16mb", "--maxmemory-policy", "noeviction")
	name := filepath.Join(t.TempDir(), "large")
	acctest.WriteNoise(t, name, 32<<20)
	acctest.ExpectError(t, resource.TestStep{Config: acctest.RedisConfig(server.URL(), "", strings.Replace(aFile, `content = "alice"`, fmt.Sprintf("source = %q", name), 1))},
		[]string{"the files need 32.6 MiB of memory, redis has", "MiB left (maxmemory)", "Increase the memory of this Redis (maxmemory)"})
	keys, err := server.Client().DBSize(t.Context()).Result()
	acctest.NoError(t, err)
	if keys != 0 {
		t.Errorf("%d keys were written", keys)
	}
}

// Redis runs in a pod that only the API server can reach. The pod is replaced during an upload.
func TestAccRedis_portForward(t *testing.T) {
	t.Parallel()
	s, namespace := acctest.NewEnv(t), clustertest.Namespace(t)
	data := t.TempDir()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "redis"}}
	service.Spec.Selector = map[string]string{"app": "redis"}
	service.Spec.Ports = []corev1.ServicePort{{Port: 6379}}
	acctest.NoError(t, s.Client.Create(t.Context(), service))
	startRedisPod(t, s.Client, namespace, "redis-0", data)

	forward := kube.Forward{Namespace: namespace, Service: "redis", Port: 6379}
	client, err := files.Dialer{Connect: connectBy(s.Client, forward)}.Dial("redis://redis:6379")
	acctest.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() }) // nothing is written any more
	store, err := files.Open(files.Config{Redis: client, Run: "forwarded", Deadline: time.Now().Add(time.Hour), Patience: 3 * time.Minute})
	acctest.NoError(t, err)
	throughOldProxy(t, forward)
	replaced := make(chan error, 1)
	go func() { replaced <- replaceRedisPod(t, s.Client, namespace, data) }()
	sources := map[string]files.Source{}
	for i := range 40 {
		sources[fmt.Sprint("file", i)] = files.Source{Content: append(make([]byte, 2<<20), byte(i))}
	}
	upload := func() error {
		layer, err := store.PutInputs(t.Context(), sources)
		if err == nil {
			err = store.SetInput(t.Context(), layer)
		}
		return err
	}
	// Until the pod has been replaced, however fast one upload is.
	for done := false; !done; {
		acctest.NoError(t, files.Again(upload))
		select {
		case err := <-replaced:
			acctest.NoError(t, err)
			done = true
		default:
			acctest.NoError(t, store.Delete(t.Context()))
		}
	}
	acctest.NoError(t, files.Again(upload))
	acctest.NoError(t, store.Delete(t.Context()))

	s.GrantPermissions(t, namespace,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}})
	more := fmt.Sprintf("    port_forward = { namespace = %q, service = \"redis\" }", namespace)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.ProviderFactories, Steps: []resource.TestStep{{Config: acctest.RedisConfig("redis://redis:6379", more, aFile)}}})
	for name, tt := range map[string]struct{ url, more, want string }{
		"no such Service": {"redis://redis", fmt.Sprintf("    port_forward = { namespace = %q, service = \"nobody\" }", namespace), `services "nobody" not found`},
		"no such port":    {"redis://redis", fmt.Sprintf("    port_forward = { namespace = %q, service = \"redis\", port = 1 }", namespace), "the Service has no port 1"},
		"nobody listens":  {"redis://redis", fmt.Sprintf("    port_forward = { namespace = %q, pod = \"redis-1\", port = 1 }", namespace), "redis cannot be reached"},
		"both":            {"redis://redis", fmt.Sprintf("    port_forward = { namespace = %q, service = \"redis\", pod = \"redis-1\" }", namespace), "Invalid Attribute Combination"},
		"a Cluster":       {"redis+cluster://redis", more, "redis.port_forward connects to one server"},
	} {
		t.Run(name, func(t *testing.T) {
			acctest.ExpectError(t, resource.TestStep{Config: acctest.RedisConfig(tt.url, tt.more, aFile)}, []string{tt.want})
		})
	}
}

// throughOldProxy connects through a proxy that does not support WebSockets; the connection then uses SPDY.
func throughOldProxy(t *testing.T, to kube.Forward) {
	t.Helper()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, "KUBECONFIG")}.Config()
	acctest.NoError(t, err)
	config.NextProtos = []string{"http/1.1"} // HTTP/2 cannot be turned into something else
	proxy, err := disturb.NewForwarder(config)
	acctest.NoError(t, err)
	var refused, passed atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.ToLower(r.Header.Get("Upgrade")) {
		case "websocket":
			refused.Add(1)
			http.Error(w, "no WebSockets here", http.StatusBadRequest)
			return
		case "spdy/3.1":
			passed.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	config, err = kube.Connection{Host: server.URL}.Config()
	acctest.NoError(t, err)
	behind, err := kube.New(config)
	acctest.NoError(t, err)
	client, err := files.Dialer{Connect: connectBy(behind, to)}.Dial("redis://redis:6379")
	acctest.NoError(t, err)
	defer client.Close() // everything has its answer
	large := strings.Repeat("0123456789", 200_000)
	var got string
	testenv.AwaitTrue(t, "a large value", func() bool { // a connection may break on a loaded machine; the file store then sends the command again
		err := client.Set(t.Context(), "large", large, testenv.Patience).Err()
		if err == nil {
			got, err = client.GetDel(t.Context(), "large").Result()
		}
		if err != nil {
			t.Log(err)
		}
		return err == nil
	})
	if got != large || refused.Load() == 0 || passed.Load() == 0 {
		t.Errorf("%d bytes came back; %d connections by WebSocket were refused, %d by SPDY were passed", len(got), refused.Load(), passed.Load())
	}
}

// startRedisPod runs the redis-server of the host in a pod on the same host, with data that outlives the pod.
func startRedisPod(t *testing.T, client *kube.Client, namespace, name, data string) {
	t.Helper()
	acctest.NoError(t, makeRedisPod(t.Context(), client, namespace, name, data, clustertest.Getenv(t, "BRANE_TOOLS_IMAGE")))
}

func makeRedisPod(ctx context.Context, client *kube.Client, namespace, name, data, image string) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "redis"}}}
	container := corev1.Container{
		Name: "redis", Image: image,
		Command: []string{"/usr/bin/redis-server", "--dir", "/redis-data", "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--protected-mode", "no"},
	}
	for _, folder := range [][2]string{{"/usr", "/usr"}, {"/usr/lib", "/lib"}, {"/usr/lib64", "/lib64"}, {data, "/redis-data"}} {
		volume := fmt.Sprint("v", len(pod.Spec.Volumes))
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder[0]}}})
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: volume, MountPath: folder[1], ReadOnly: folder[0] != data})
	}
	pod.Spec.Containers = []corev1.Container{container}
	pod.Spec.TerminationGracePeriodSeconds = new(int64(1))
	if err := client.Create(ctx, pod); err != nil {
		return err
	}
	return awaitPod(ctx, client, namespace, name, func(pod *corev1.Pod, err error) bool {
		if err != nil {
			return false
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	})
}

// replaceRedisPod deletes the pod and starts another one with its data.
func replaceRedisPod(t *testing.T, client *kube.Client, namespace, data string) error {
	old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "redis-0"}}
	if err := client.Delete(t.Context(), old); err != nil {
		return err
	}
	// Two servers on one file would spoil it.
	if err := awaitPod(t.Context(), client, namespace, "redis-0", func(_ *corev1.Pod, err error) bool { return apierrors.IsNotFound(err) }); err != nil {
		return err
	}
	return makeRedisPod(t.Context(), client, namespace, "redis-1", data, clustertest.Getenv(t, "BRANE_TOOLS_IMAGE"))
}

func awaitPod(ctx context.Context, client *kube.Client, namespace, name string, is func(*corev1.Pod, error) bool) error {
	err := testenv.Poll(ctx, func(ctx context.Context) (bool, error) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		return is(pod, client.Get(ctx, pod)), nil
	})
	if err != nil {
		return fmt.Errorf("pod %s of Redis is not as it should be: %w", name, err)
	}
	return nil
}

func connectBy(client *kube.Client, to kube.Forward) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return client.DialForward(ctx, to) }
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
)

// world is what the runs use: the cluster and Redis, each through a proxy, and the files of a Brane instance.
type world struct {
	admin      *kube.Client // not through the proxy
	store      *redis.Client
	server     *disturb.APIServer
	redis      *disturb.Redis
	directory  string
	namespace  string
	account    string // the namespace of the provider's service account
	database   int
	address    *url.URL // of Redis
	registry   string
	toolsImage string
}

// infraFile is infra.yml before the first apply; it must have the same content after the last destroy.
const infraFile = `# Edited by hand.
locations:
  elsewhere: # not managed
    kind: kube
    address: 203.0.113.7:6443
    callback_to: http://203.0.113.7:50052
    namespace: elsewhere
    registry: 203.0.113.7:50050
    mount_dfs: redis://203.0.113.7
    credentials:
      mechanism: config
      file: s$elsewhere
`

// newWorld connects to the cluster and the Redis of the environment, and creates what the provider needs.
func newWorld(ctx context.Context, directory string, m *moments) (*world, error) {
	w := &world{directory: directory, registry: os.Getenv("BRANE_REGISTRY"), toolsImage: os.Getenv("BRANE_TOOLS_IMAGE")}
	for _, name := range []string{"KUBECONFIG", "BRANE_REDIS_URL", "BRANE_BRIDGE_IP", "BRANE_REGISTRY", "BRANE_TOOLS_IMAGE", "BRANE_AGENT_IMAGE"} {
		if os.Getenv(name) == "" {
			return nil, fmt.Errorf("%s is not set: run `make cluster-up` and then `. .cluster/env`", name)
		}
	}
	config, err := kube.Connection{ConfigPath: os.Getenv("KUBECONFIG")}.Config()
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster of KUBECONFIG: %w", err)
	}
	if w.admin, err = kube.New(config); err != nil {
		return nil, err
	}
	if w.server, err = disturb.NewAPIServer(config, func(*http.Request) { m.happen("request") }); err != nil {
		return nil, err
	}
	if w.address, err = url.Parse(os.Getenv("BRANE_REDIS_URL")); err != nil {
		return nil, errors.New("BRANE_REDIS_URL is invalid")
	}
	loopback, bridge := "127.0.0.1", os.Getenv("BRANE_BRIDGE_IP")
	if w.redis, err = disturb.NewRedis(w.address.Host, func(disturb.RedisCommand) { m.happen("command") }, loopback, bridge); err != nil {
		return nil, err
	}
	if err := w.selectDatabase(ctx); err != nil {
		return nil, err
	}
	w.namespace = fmt.Sprintf("soak-%d", os.Getpid())
	w.account = w.namespace + "-account"
	if err := os.MkdirAll(w.controlPlane(), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(w.controlPlane(), "infra.yml"), []byte(infraFile), 0o600); err != nil {
		return nil, err
	}
	return w, w.createAccount(ctx)
}

// claim is a key that only says that another soak uses the database.
const claim = "soak"

// selectDatabase connects to a database of Redis that is empty, so that every other key in it at the end is one that was left behind.
func (w *world) selectDatabase(ctx context.Context) error {
	for w.database = 15; w.database > 0; w.database-- {
		options, err := redis.ParseURL(os.Getenv("BRANE_REDIS_URL"))
		if err != nil {
			return errors.New("BRANE_REDIS_URL is invalid")
		}
		options.DB = w.database
		w.store = redis.NewClient(options)
		size, err := w.store.DBSize(ctx).Result()
		if err == nil && size == 0 {
			isOurs, claimErr := w.store.SetNX(ctx, claim, os.Getpid(), 24*time.Hour).Result()
			if isOurs {
				return nil
			}
			err = claimErr
		}
		if err = errors.Join(err, w.store.Close()); err != nil {
			return fmt.Errorf("find an empty database of Redis: %w", err)
		}
	}
	return errors.New("databases 1 to 15 of Redis are in use")
}

// createAccount creates the service account of the provider, and its kubeconfig with the address of the proxy.
func (w *world) createAccount(ctx context.Context) error {
	for _, object := range w.accountObjects() {
		if err := w.admin.Create(ctx, object); err != nil {
			return err
		}
	}
	token, err := credentials.RequestToken(ctx, w.admin, w.account, "provider", 12*time.Hour, nil)
	if err != nil {
		return err
	}
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: w.server.URL, CA: w.server.CA(), Token: token.Value, Namespace: w.account})
	if err != nil {
		return err
	}
	return os.WriteFile(w.kubeconfigFile(), kubeconfig, 0o600)
}

// accountObjects returns the objects of the provider's service account.
func (w *world) accountObjects() []kube.Object {
	return []kube.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.account}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.account, Name: "provider"}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: w.account},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.account, Name: "provider"}},
		},
	}
}

// close deletes the service account and closes all connections.
func (w *world) close(ctx context.Context) error {
	objects := w.accountObjects()
	err := errors.Join(w.store.Del(ctx, claim).Err(), w.admin.Delete(ctx, objects[2]), w.admin.Delete(ctx, objects[0]))
	w.server.CloseClientConnections()
	w.server.Close()
	w.redis.Close()
	return errors.Join(err, w.store.Close())
}

// repair ends all faults of the proxies.
func (w *world) repair() {
	w.server.Repair()
	w.redis.Repair()
}

func (w *world) kubeconfigFile() string { return filepath.Join(w.directory, "kubeconfig") }

func (w *world) controlPlane() string { return filepath.Join(w.directory, "control-plane") }

// redisURL returns the URL of the proxy for the provider, 0, or for pods, 1.
func (w *world) redisURL(n int) string {
	address := *w.address
	address.Host, address.Path = w.redis.Addr(n), fmt.Sprintf("/%d", w.database)
	return address.String()
}

// secrets returns what no output of a command may contain.
func (w *world) secrets() []string {
	password, _ := w.address.User.Password()
	found := []string{password}
	for _, file := range []string{w.kubeconfigFile(), filepath.Join(w.controlPlane(), "secrets.yml")} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it does not exist before the first apply
		}
		for line := range strings.Lines(string(text)) {
			if _, token, isToken := strings.Cut(line, "token: "); isToken {
				found = append(found, strings.Trim(strings.TrimSpace(token), `"'`))
			}
		}
	}
	return found
}

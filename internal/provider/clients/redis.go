package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/requestlog"
)

// RedisServer describes the Redis of the provider block.
type RedisServer struct {
	URL, PodURL    string
	Certificates   files.Certificates
	AllowEviction  bool
	Users          workflow.RedisUsers
	PodConnections int           // 0 means the default of the agent
	Forward        *kube.Forward // nil for a direct connection
	ForwardCluster types.String
	IsUnknown      bool // whether a part of the block is not known before apply
}

// redisConnection is the connection to that Redis, which is opened on first use.
type redisConnection struct {
	mutex  sync.Mutex // guards client; after an error the next caller connects again
	client redis.UniversalClient
}

// RedisClient returns a client of the Redis that stores the files of workflow runs. On first use it verifies the server. Only the first caller gets the warnings; every
// caller passes them to [diagnostic.AddRedisWarnings].
func (c *Clients) RedisClient(ctx context.Context) (redis.UniversalClient, []string, error) {
	server, connection := &c.Redis, &c.redisConnection
	if server.IsUnknown {
		return nil, nil, ErrNotKnown
	}
	if server.URL == "" {
		return nil, nil, errors.New("no Redis is configured: set redis.url in the provider block, or BRANE_REDIS_URL")
	}
	connection.mutex.Lock()
	defer connection.mutex.Unlock()
	if connection.client != nil {
		return connection.client, nil, nil
	}
	dialer, err := c.redisDialer()
	if err != nil {
		return nil, nil, err
	}
	client, err := dialer.Dial(server.URL)
	if err != nil {
		return nil, nil, err
	}
	requestlog.AddRedisHook(client)
	warnings, err := files.Check(ctx, client)
	if errors.Is(err, files.ErrEvicts) && server.AllowEviction {
		warnings, err = append(warnings, err.Error()), nil
	}
	if err != nil {
		_ = client.Close() // the error of the check is returned
		return nil, nil, err
	}
	connection.client = client
	return client, warnings, nil
}

// redisDialer returns a dialer with the certificates and, if configured, the port forwarding.
func (c *Clients) redisDialer() (files.Dialer, error) {
	certificates, err := c.Redis.Certificates.Config()
	if err != nil {
		return files.Dialer{}, err
	}
	dialer := files.Dialer{TLS: certificates}
	if c.Redis.Forward == nil {
		return dialer, nil
	}
	if scheme, _, _ := strings.Cut(c.Redis.URL, ":"); strings.Contains(scheme, "+") {
		return files.Dialer{}, errors.New("redis.port_forward connects to one server; it does not support Redis Cluster and Sentinel, whose servers have different addresses")
	}
	client, err := c.Kubernetes(c.Redis.ForwardCluster)
	if err != nil {
		return files.Dialer{}, fmt.Errorf("connect to the cluster of redis.port_forward: %w", err)
	}
	dialer.Connect = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return client.DialForward(ctx, *c.Redis.Forward)
	}
	return dialer, nil
}

// PodRedisURL returns the URL to which pods connect: pod_url, else mount_dfs of the location with the user and password of url, else url.
func (c *Clients) PodRedisURL(mountDFS string) (string, error) {
	if c.Redis.PodURL != "" {
		return c.Redis.PodURL, nil
	}
	if mountDFS == "" {
		return c.Redis.URL, nil
	}
	ours, err := url.Parse(c.Redis.URL)
	if err != nil {
		return "", errors.New("redis.url is not a URL") // not err: its text holds the URL with the password
	}
	theirs, err := url.Parse(mountDFS)
	if err != nil {
		return "", errors.New("mount_dfs of the infrastructure is not a URL; set redis.pod_url in the provider block") // not err, for the same reason
	}
	theirs.RawQuery = "" // parameters of JuiceFS
	if theirs.User == nil {
		theirs.User = ours.User
	}
	return theirs.String(), nil
}

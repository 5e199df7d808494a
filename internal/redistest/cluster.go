package redistest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// Cluster is a Redis Cluster of three masters without replicas.
type Cluster struct{ Masters []*Server }

// StartCluster starts three servers and joins them into a Cluster. It fails the test if redis-server is missing.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	return Loopback.StartCluster(t)
}

// StartCluster starts a Cluster whose servers listen at this address. args are those of each server.
func (h Host) StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	return h.startCluster(t, func(int) []string { return args })
}

// startCluster starts a Cluster whose masters have additional arguments.
func (h Host) startCluster(t testing.TB, more func(master int) []string) *Cluster {
	t.Helper()
	c := &Cluster{}
	const masters = 3
	for i := range masters {
		bus, err := h.findPort()
		if err != nil {
			t.Fatal(err)
		}
		// The default port of the cluster bus, 10,000 higher, may exceed the highest port.
		server := h.start(t, append([]string{"--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-config-file", "nodes.conf"}, more(i)...)...)
		c.Masters = append(c.Masters, server)
		client := server.Client()
		if err := client.ClusterAddSlotsRange(t.Context(), i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
			t.Fatalf("give slots to master %d: %v", i, err)
		}
		if err := client.Do(t.Context(), "cluster", "set-config-epoch", i+1).Err(); err != nil {
			t.Fatalf("number master %d: %v", i, err)
		}
		if i > 0 {
			if err := c.Masters[0].Client().Do(t.Context(), "cluster", "meet", string(h), server.port, bus).Err(); err != nil {
				t.Fatalf("introduce master %d: %v", i, err)
			}
		}
	}
	c.AwaitReady(t)
	return c
}

// URL returns the address in the form that users configure.
func (c *Cluster) URL() string {
	var more []string
	for _, master := range c.Masters[1:] {
		more = append(more, "addr="+master.Addr())
	}
	return fmt.Sprintf("redis+cluster://%s?%s", c.Masters[0].Addr(), strings.Join(more, "&"))
}

// AwaitReady waits until every master knows all masters and reports the state ok.
func (c *Cluster) AwaitReady(t testing.TB) {
	t.Helper()
	for _, master := range c.Masters {
		client := master.Client()
		err := testenv.Poll(t.Context(), func(ctx context.Context) (bool, error) { return ready(ctx, client, len(c.Masters)), nil })
		if err != nil {
			t.Fatalf("the Cluster is not ready: %v: %s", err, client.ClusterInfo(t.Context()).Val())
		}
	}
}

func ready(ctx context.Context, client *redis.Client, masters int) bool {
	info := client.ClusterInfo(ctx).Val()
	return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", masters))
}

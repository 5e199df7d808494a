package faults_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Faults of groups of Redis servers. Clients find the servers of a group themselves, so no proxy is in front of them: only requests to the API server are held.

// groupMoments are the moments that do not hold a command of Redis.
var groupMoments = []*runMoment{beforeFirstJob, whileRunning, betweenSteps, whileHandingOn, whileDestroying}

// useRedis lets the provider and pods use other servers than those of the test cluster.
func (l *lab) useRedis(t *testing.T, url string) {
	t.Helper()
	l.CLI.Env = append(l.CLI.Env, "BRANE_REDIS_URL="+url, "BRANE_REDIS_POD_URL="+url)
}

// losesMaster returns a fault in which a master of a Redis Cluster is away until clients have met that. leave makes it unavailable, and returns the number of clients
// that have met the master itself since, and what brings it back.
func losesMaster(name string, leave func(t *testing.T, master *redistest.Server) (countMet func() int, comeBack func())) fault {
	return fault{
		name: name,
		prepare: func(t *testing.T, l *lab) {
			t.Helper()
			l.cluster = redistest.Host(l.Getenv(t, "BRANE_BRIDGE_IP")).StartCluster(t, "--cluster-node-timeout", "1000", "--appendonly", "yes", "--appendfsync", "always")
			l.useRedis(t, l.cluster.URL())
		},
		happens: func(t *testing.T, l *lab, _ *heldrun.Apply) {
			t.Helper()
			l.countMet, l.comeBack = leave(t, l.cluster.Masters[0])
			for _, other := range l.cluster.Masters[1:] {
				awaitInfo(t, other, "cluster", "cluster_state:fail")
			}
		},
		ends: func(t *testing.T, l *lab) {
			t.Helper()
			others := []*redis.Client{l.cluster.Masters[1].Client(), l.cluster.Masters[2].Client()}
			testenv.AwaitTrue(t, "clients to meet the fault", func() bool { return l.countMet()+countRefusals(t, others) > 0 })
			l.comeBack()
			l.cluster.AwaitReady(t)
		},
		outcomes: isSurvivedAt(groupMoments),
	}
}

// suspendMaster suspends a master, which counts connections whose commands it does not read.
func suspendMaster(t *testing.T, master *redistest.Server) (countMet func() int, comeBack func()) {
	t.Helper()
	master.Pause()
	return func() int { return countUnread(t, master.Addr()) }, master.Continue
}

// killMaster kills a master, in whose place a listener counts connections and closes them.
func killMaster(t *testing.T, master *redistest.Server) (countMet func() int, comeBack func()) {
	t.Helper()
	master.Kill()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", master.Addr())
	acctest.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() }) // comeBack may have closed it
	var met atomic.Int32
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			met.Add(1)
			_ = connection.Close()
		}
	}()
	return func() int { return int(met.Load()) }, func() {
		acctest.NoError(t, listener.Close())
		master.Restart()
	}
}

// countUnread returns the number of connections to an address of this machine with data that the server has not read.
func countUnread(t *testing.T, address string) (sum int) {
	t.Helper()
	at, err := netip.ParseAddrPort(address)
	acctest.NoError(t, err)
	ip := at.Addr().As4()
	slices.Reverse(ip[:]) // the kernel prints it in the order of the processor's bytes
	local := fmt.Sprintf("%X:%04X", ip, at.Port())
	table, err := os.ReadFile("/proc/net/tcp")
	acctest.NoError(t, err)
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[1] == local && !strings.HasSuffix(fields[4], ":00000000") {
			sum++
		}
	}
	return sum
}

// awaitInfo waits until a server reports this.
func awaitInfo(t *testing.T, server *redistest.Server, section, text string) {
	t.Helper()
	client := server.Client()
	testenv.AwaitTrue(t, "Redis to report "+text, func() bool {
		if section == "cluster" {
			return strings.Contains(client.ClusterInfo(t.Context()).Val(), text)
		}
		return strings.Contains(client.Info(t.Context(), section).Val(), text)
	})
}

// countRefusals returns how many commands servers have refused because their Cluster is down.
func countRefusals(t *testing.T, servers []*redis.Client) (sum int) {
	t.Helper()
	for _, server := range servers {
		for line := range strings.Lines(server.Info(t.Context(), "errorstats").Val()) {
			count := 0
			if _, err := fmt.Sscanf(line, "errorstat_CLUSTERDOWN:count=%d", &count); err == nil {
				sum += count
			}
		}
	}
	return sum
}

// CheckNothingLeft destroys the run and checks that nothing of it remains, neither in the servers of the test cluster nor in those of the test.
func (l *lab) CheckNothingLeft(t *testing.T) {
	t.Helper()
	l.Run.CheckNothingLeft(t)
	var masters []*redistest.Server
	if l.cluster != nil {
		masters = l.cluster.Masters
	}
	if l.sentinel != nil {
		masters = []*redistest.Server{l.sentinel.Replica}
	}
	for _, master := range masters {
		keys, err := master.Client().Keys(t.Context(), "*").Result()
		acctest.NoError(t, err)
		if len(keys) > 0 {
			t.Errorf("Redis still has the keys %q", keys)
		}
	}
}

var groupFaults = []fault{
	{
		name: "Sentinel promotes a replica",
		prepare: func(t *testing.T, l *lab) {
			t.Helper()
			l.sentinel = redistest.Host(l.Getenv(t, "BRANE_BRIDGE_IP")).StartSentinel(t)
			l.useRedis(t, l.sentinel.URL())
		},
		happens: func(t *testing.T, l *lab, _ *heldrun.Apply) {
			t.Helper()
			l.sentinel.Master.Kill()
			awaitInfo(t, l.sentinel.Replica, "replication", "role:master")
		},
		outcomes: isSurvivedAt(groupMoments),
	},
	losesMaster("a master of a Redis Cluster is suspended", suspendMaster),
	losesMaster("a master of a Redis Cluster is killed and restarted", killMaster),
}

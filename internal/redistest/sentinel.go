package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// SentinelMaster is the name under which the sentinels know the master.
const SentinelMaster = "brane"

// Sentinel is a master, its replica, and three sentinels that promote the replica when the master has been unreachable for a second.
type Sentinel struct {
	Master, Replica *Server
	Sentinels       []*Server
}

// StartSentinel starts the servers and the sentinels; args are those of the two servers. It fails the test if redis-server is missing.
func StartSentinel(t testing.TB, args ...string) *Sentinel {
	t.Helper()
	return Loopback.StartSentinel(t, args...)
}

// StartSentinel starts servers and sentinels that listen at this address.
func (h Host) StartSentinel(t testing.TB, args ...string) *Sentinel {
	t.Helper()
	s := &Sentinel{Master: h.start(t, args...)}
	s.Replica = h.start(t, append([]string{"--replicaof", string(h) + " " + s.Master.port, "--repl-diskless-sync-delay", "0"}, args...)...)
	const count, quorum = 3, 2
	for range count {
		s.Sentinels = append(s.Sentinels, h.startSentinel(t, fmt.Sprintf(`sentinel monitor %[1]s %[2]s %[3]s %[4]d
sentinel down-after-milliseconds %[1]s 1000
sentinel failover-timeout %[1]s 5000
`, SentinelMaster, h, s.Master.port, quorum)))
	}
	s.await(t, count)
	return s
}

// startSentinel starts one sentinel, which stores its state in its configuration file.
func (h Host) startSentinel(t testing.TB, config string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, host: h, dir: t.TempDir(), args: args}
	file := filepath.Join(s.dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.first = []string{file, "--sentinel"}
	s.begin()
	return s
}

// URL returns the address in the form that users configure.
func (s *Sentinel) URL() string {
	var more []string
	for _, sentinel := range s.Sentinels[1:] {
		more = append(more, "addr="+sentinel.Addr())
	}
	return fmt.Sprintf("redis+sentinel://%s/0?master=%s&%s", s.Sentinels[0].Addr(), SentinelMaster, strings.Join(more, "&"))
}

// await waits until the replica has all data and every sentinel knows the replica and the other sentinels.
func (s *Sentinel) await(t testing.TB, count int) {
	t.Helper()
	err := testenv.Poll(t.Context(), func(ctx context.Context) (bool, error) {
		for _, sentinel := range s.Sentinels {
			if info := sentinel.Client().Info(ctx, "sentinel").Val(); !strings.Contains(info, fmt.Sprintf("status=ok,address=%s,slaves=1,sentinels=%d", s.Master.Addr(), count)) {
				return false, nil
			}
		}
		return strings.Contains(s.Replica.Client().Info(ctx, "replication").Val(), "master_link_status:up"), nil
	})
	if err != nil {
		t.Fatalf("the sentinels are not ready: %v: %s", err, s.Sentinels[0].Client().Info(t.Context(), "sentinel").Val())
	}
}

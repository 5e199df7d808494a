//go:build linux

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestTheAgentOnOtherKindsOfRedis runs a step with a Redis Cluster, as the user of its run, which every master must have; and with a Sentinel group, which may
// fail over at any time and then loses its users.
func TestTheAgentOnOtherKindsOfRedis(t *testing.T) {
	for name, url := range map[string]string{"a Sentinel group": redistest.StartSentinel(t).URL(), "a Cluster": redistest.StartCluster(t).URL()} {
		t.Run(name, func(t *testing.T) {
			r := &run{t: t, id: "test-1", limit: time.Now().Add(time.Hour), pods: map[string]*pod{}}
			client, err := files.Dial(url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() }) // nothing is written any more
			if r.store, err = files.Open(files.Config{Redis: client, Run: r.id, Deadline: r.limit}); err != nil {
				t.Fatal(err)
			}
			r.input(map[string]files.Source{"in": {Content: make([]byte, 3<<20)}})
			as := ""
			if name == "a Cluster" {
				user, err := r.store.GrantUser(t.Context(), "0wn")
				if err != nil {
					t.Fatal(err)
				}
				as = user + ":0wn@"
			}
			p := r.podAt("step", nil, strings.Replace(url, "://", "://"+as, 1))
			if got := p.sh("wc -c <in >out"); got.code != 0 || strings.TrimSpace(r.content("step", "out")) != "3145728" {
				t.Errorf("ended with %d: %s", got.code, got.stderr)
			}
		})
	}
}

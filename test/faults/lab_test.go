package faults_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// lab is a run that is held at a moment and meets a fault there. All connections of the provider and of pods go through proxies.
type lab struct {
	*heldrun.Run
	gate  *gate
	api   *disturb.APIServer
	store *disturb.Redis

	// Of faults that need them.
	webhook  *podWebhook
	cluster  *redistest.Cluster
	sentinel *redistest.Sentinel
	countMet func() int // of a master that is away: see losesMaster
	comeBack func()
}

// gate holds the first request or command that meets a condition.
type gate struct {
	mu      sync.Mutex
	isHeld  func(event string) bool // nil: it holds nothing
	held    chan struct{}           // closed when it holds something
	release chan struct{}
	open    func() // closes release, once
}

func newGate() *gate {
	g := &gate{held: make(chan struct{}), release: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.release) })
	return g
}

// arm sets the condition. It is called with all events in their order, until it returns true.
func (g *gate) arm(isHeld func(event string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isHeld = isHeld
}

// pass holds an event if it meets the condition, until open is called or its client disconnects.
func (g *gate) pass(event string, gone <-chan struct{}) (isGone bool) {
	g.mu.Lock()
	isHeld := g.isHeld != nil && g.isHeld(event)
	if isHeld {
		g.isHeld = nil
		close(g.held)
	}
	g.mu.Unlock()
	if !isHeld {
		return false
	}
	select {
	case <-g.release:
		return false
	case <-gone:
		return true
	}
}

// The hosts at which the proxy of Redis listens.
const (
	forProvider = iota
	forPods
)

// newLab returns a run of three steps whose connections go through proxies.
func newLab(t *testing.T, attributes string) *lab {
	t.Helper()
	l := &lab{gate: newGate()}
	place := acctest.NewEnv(t)
	address, err := url.Parse(place.Getenv(t, "BRANE_REDIS_URL"))
	acctest.NoError(t, err)
	l.store, err = disturb.NewRedis(address.Host, func(c disturb.RedisCommand) {
		l.gate.pass(map[int]string{forProvider: "provider ", forPods: "pod "}[c.Host]+c.Name+" "+c.Key, nil)
	}, "127.0.0.1", place.Getenv(t, "BRANE_BRIDGE_IP"))
	acctest.NoError(t, err)
	t.Cleanup(l.store.Close)
	config, err := kube.Connection{ConfigPath: place.Getenv(t, acctest.KubeconfigVariable)}.Config()
	acctest.NoError(t, err)
	l.api, err = disturb.NewAPIServer(config, func(r *http.Request) {
		if l.gate.pass(r.Method+" "+r.URL.Path, r.Context().Done()) {
			panic(http.ErrAbortHandler)
		}
	})
	acctest.NoError(t, err)
	t.Cleanup(func() {
		l.gate.open()
		l.api.CloseClientConnections()
		l.api.Close()
	})

	l.Run = heldrun.NewRunIn(t, nil, "fault", runFault{attributes: attributes}.configBody())
	l.Proxy = l.api.URL
	l.UseProxy(t, l.api.Server)
	for host, name := range []string{"BRANE_REDIS_URL", "BRANE_REDIS_POD_URL"} {
		through := *address
		through.Host = l.store.Addr(host)
		l.CLI.Env = append(l.CLI.Env, name+"="+through.String())
	}
	l.CLI.Env = append(l.CLI.Env, acctest.KubeconfigVariable+"="+l.writeKubeconfig(t))
	return l
}

// writeKubeconfig writes the kubeconfig of the provider with the address of the proxy.
func (l *lab) writeKubeconfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(l.Getenv(t, acctest.KubeconfigVariable))
	acctest.NoError(t, err)
	own, err := credentials.Parse(text)
	acctest.NoError(t, err)
	own.Server, own.CA = l.api.URL, l.api.CA()
	text, err = credentials.Render(*own)
	acctest.NoError(t, err)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	acctest.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// runMoment is a moment of a run at which the test holds it.
type runMoment struct {
	name       string
	attributes string                                         // of the run
	isHeld     func(namespace string) func(event string) bool // the event that is held; nil: the slow step is running
	start      func(t *testing.T, l *lab) *heldrun.Apply      // starts the command that is disturbed; nil: an apply
}

var (
	beforeFirstJob = &runMoment{name: "before the first Job", isHeld: func(namespace string) func(string) bool { return nthJob(namespace, 1) }}
	whileStaging   = &runMoment{name: "while a step's files are staged in", isHeld: func(string) func(string) bool {
		isStored := false
		return func(event string) bool {
			isStored = isStored || strings.HasPrefix(event, "pod SET ") && strings.Contains(event, ":step:first:")
			return isStored && strings.HasPrefix(event, "pod GET ") && strings.Contains(event, ":step:slow:")
		}
	}}
	whileRunning = &runMoment{name: "while a step runs"}
	whileStoring = &runMoment{name: "while a step's files are stored", isHeld: func(string) func(string) bool {
		return func(event string) bool {
			return strings.HasPrefix(event, "pod SET ") && strings.Contains(event, ":step:slow:")
		}
	}}
	betweenSteps   = &runMoment{name: "between two steps", isHeld: func(namespace string) func(string) bool { return nthJob(namespace, 3) }}
	whileHandingOn = &runMoment{
		name: "while the run is handed over", attributes: "wait = false", isHeld: func(namespace string) func(string) bool { return nthJob(namespace, 1) },
	}
	whileDestroying = &runMoment{
		name: "during destroy",
		isHeld: func(string) func(string) bool {
			return func(event string) bool { return strings.HasPrefix(event, http.MethodDelete+" ") }
		},
		start: func(t *testing.T, l *lab) *heldrun.Apply {
			t.Helper()
			return heldrun.StartCommand(t, l.CLI, "destroy", "-auto-approve", "-json")
		},
	}
)

// runMoments are all moments, in their order.
var runMoments = []*runMoment{beforeFirstJob, whileStaging, whileRunning, whileStoring, betweenSteps, whileHandingOn, whileDestroying}

// nthJob returns the condition of the request that creates the n-th Job in the namespace.
func nthJob(namespace string, n int) func(event string) bool {
	created := 0
	return func(event string) bool {
		if event == http.MethodPost+" /apis/batch/v1/namespaces/"+namespace+"/jobs" {
			created++
		}
		return created == n
	}
}

// reach starts the command and returns when the run is at the moment.
func (m *runMoment) reach(t *testing.T, l *lab) *heldrun.Apply {
	t.Helper()
	if m.start != nil { // the run has ended
		l.Server.Release()
		l.CheckErrors(t, heldrun.StartApply(t, l.CLI), "")
		l.AwaitID(t) // while the run's record exists
	}
	if m.isHeld != nil {
		l.Server.Release()
		l.gate.arm(m.isHeld(l.Namespace))
	}
	var a *heldrun.Apply
	if m.start == nil {
		a = heldrun.StartApply(t, l.CLI)
	} else {
		a = m.start(t, l)
	}
	if m.isHeld == nil {
		l.AwaitSlowStep(t)
	} else {
		testenv.Receive(t, m.name, l.gate.held)
	}
	l.AwaitID(t)
	return a
}

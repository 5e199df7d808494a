package namespace_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// trial is a namespace in a cluster behind a gate.
type trial struct {
	acctest.Env
	*acctest.FaultProxy
	*acctest.Lifecycle
	config acctest.Object
}

func newTrial(t *testing.T) trial {
	t.Helper()
	s := acctest.Env{Client: clustertest.Client(t), Namespace: clustertest.Name("fault")}
	g := acctest.NewFaultProxy(t, (*httptest.Server).Start)
	speaker := acctest.NewProtocol(t)
	speaker.RequireNoErrors(speaker.Configure(acctest.Object{"kubernetes": acctest.Object{"host": g.URL, "token": "unused"}}, false).Diagnostics)
	t.Cleanup(func() {
		err := s.Client.Delete(context.Background(), namespaceObject(s))
		if !apierrors.IsNotFound(err) {
			acctest.NoError(t, err)
		}
	})
	return trial{s, g, speaker.NewLifecycle("brane_namespace"), acctest.Object{
		"name":                 s.Namespace,
		"resource_quota":       acctest.Object{"pods": "5"},
		"registry_credentials": acctest.Object{"r.example.org": acctest.Object{"username": "u", "password_wo": "never-told", "password_wo_version": 1}},
	}}
}

// shortenTimeouts shortens the limit of operations that get no response; other operations need more time on a busy machine.
func (c trial) shortenTimeouts(f acctest.Fault) {
	if f.Name == "no answer" {
		c.config["timeouts"] = acctest.Object{"create": "3s", "update": "3s", "delete": "3s"}
	}
}

func namespaceObject(s acctest.Env) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
}

// checkError checks that an error states what was attempted and what came back, and contains no secret.
func (c trial) checkError(t *testing.T, f acctest.Fault, diagnostics []*tfprotov6.Diagnostic) {
	t.Helper()
	said := acctest.FormatDiagnostics(diagnostics)
	wants := []string{fmt.Sprintf("namespace %q in the cluster at %s", c.Namespace, c.URL), acctest.FaultMessage}
	switch f.Name {
	case "401":
		wants = append(wants, "does not accept the credential")
	case "403":
		wants = append(wants, "The credentials lack a permission")
	case "no answer":
		wants = append(wants[:1], "not finished after")
	case "connection reset":
		wants = wants[:1]
	}
	for _, want := range wants {
		if !strings.Contains(said, want) {
			t.Errorf("the error says\n%s\nand not %q", said, want)
		}
	}
	if strings.Contains(said, "never-told") {
		t.Errorf("the password is told: %s", said)
	}
}

// checkFinish checks that an apply without faults succeeds and that the next plan is empty.
func (c trial) checkFinish(t *testing.T) {
	t.Helper()
	c.FailRequest(0, acctest.Fault{})
	delete(c.config, "timeouts")
	if c.Exists() {
		c.RequireNoErrors(c.Refresh())
	}
	c.RequireNoErrors(c.Apply(c.config))
	c.RequireNoErrors(c.Refresh())
	if _, changes := c.PlanChange(c.config); changes || !c.Exists() {
		t.Error("the plan after it is not empty")
	}
	if got, want := c.FormatIdentity(), "name="+c.Namespace; got != want {
		t.Errorf("identity %s, want %s", got, want)
	}
}

// everyFault returns all faults for each request.
func everyFault(int) []acctest.Fault { return acctest.Faults }

// selectFaults returns every fourth fault for the n-th request, so that any four consecutive requests meet all faults.
func selectFaults(n int) []acctest.Fault {
	const distance = 4
	var selected []acctest.Fault
	for i := n % distance; i < len(acctest.Faults); i += distance {
		selected = append(selected, acctest.Faults[i])
	}
	return selected
}

func TestFourRequestsMeetAllFaults(t *testing.T) {
	for first := 1; first <= 4; first++ {
		met := map[string]bool{}
		for n := first; n < first+4; n++ {
			for _, f := range selectFaults(n) {
				met[f.Name] = true
			}
		}
		if len(met) != len(acctest.Faults) {
			t.Errorf("requests %d to %d meet %d of %d faults", first, first+3, len(met), len(acctest.Faults))
		}
	}
}

// testEachRequest runs a test for each fault that faultsAt returns for a request of the operation.
func testEachRequest(t *testing.T, requests int, faultsAt func(n int) []acctest.Fault, test func(t *testing.T, n int, f acctest.Fault)) {
	t.Helper()
	for n := 1; n <= requests; n++ {
		for _, f := range faultsAt(n) {
			t.Run(fmt.Sprintf("%s at request %d", f.Name, n), func(t *testing.T) {
				t.Parallel()
				test(t, n, f)
			})
		}
	}
}

func TestAccNamespaceFaults_create(t *testing.T) {
	t.Parallel()
	testFaultsOfCreate(t, selectFaults)
}

func testFaultsOfCreate(t *testing.T, faultsAt func(n int) []acctest.Fault) {
	t.Helper()
	clean := newTrial(t)
	clean.RequireNoErrors(clean.Apply(clean.config))
	testEachRequest(t, clean.CountRequests(), faultsAt, func(t *testing.T, n int, f acctest.Fault) {
		c := newTrial(t)
		c.shortenTimeouts(f)
		c.FailRequest(n, f)
		diagnostics := c.Apply(c.config)
		if acctest.HasErrors(diagnostics) {
			c.checkError(t, f, diagnostics)
			c.FailRequest(0, acctest.Fault{})
			live := namespaceObject(c.Env)
			err := c.Client.Get(t.Context(), live)
			if c.Exists() != (err == nil) {
				t.Fatalf("the state has a namespace: %t; reading it: %v", c.Exists(), err)
			}
			if c.Exists() {
				if got := c.DecodeString(c.DecodeAttributes(c.Schema(), c.State)["uid"]); got != string(live.UID) {
					t.Errorf("uid %s in the state, %s in the cluster", got, live.UID)
				}
				if want := "name=" + c.Namespace; c.FormatIdentity() != want {
					t.Errorf("identity %s, want %s", c.FormatIdentity(), want)
				}
				delete(c.config, "timeouts")
				c.RequireNoErrors(c.Refresh())
				c.RequireNoErrors(c.Apply(c.config))
				c.RequireNoErrors(c.Apply(nil)) // the CLI replaces what was not made completely
			}
		}
		c.checkFinish(t)
	})
}

func TestAccNamespaceFaults_read(t *testing.T) {
	t.Parallel()
	clean := newTrial(t)
	clean.RequireNoErrors(clean.Apply(clean.config))
	clean.FailRequest(0, acctest.Fault{})
	clean.RequireNoErrors(clean.Refresh())
	requests := clean.CountRequests()
	// One after the other in one namespace: reading leaves nothing behind.
	for n := 1; n <= requests; n++ {
		for _, f := range acctest.Faults {
			if f.Name == "no answer" {
				continue // below: with a limit of its own
			}
			t.Run(fmt.Sprintf("%s at request %d", f.Name, n), func(t *testing.T) {
				before := clean.State
				clean.FailRequest(n, f)
				if diagnostics := clean.Refresh(); acctest.HasErrors(diagnostics) {
					clean.checkError(t, f, diagnostics)
					if clean.State != before {
						t.Error("the state has changed")
					}
				}
			})
		}
	}
	clean.FailRequest(0, acctest.Fault{})
	clean.config["timeouts"] = acctest.Object{"read": "2s"}
	clean.RequireNoErrors(clean.Apply(clean.config))
	before := clean.State
	for n := 1; n <= requests; n++ {
		t.Run(fmt.Sprintf("no answer at request %d", n), func(t *testing.T) {
			// A process of its own: one does not ask a server again that has just not answered.
			clean.RequireNoErrors(clean.Configure(acctest.Object{"kubernetes": acctest.Object{"host": clean.URL, "token": "unused"}}, false).Diagnostics)
			clean.FailRequest(n, acctest.Faults[len(acctest.Faults)-1])
			diagnostics := clean.Refresh()
			clean.checkError(t, acctest.Faults[len(acctest.Faults)-1], diagnostics)
			if said := acctest.FormatDiagnostics(diagnostics); !strings.Contains(said, "not finished after 2s (timeouts.read)") || !strings.Contains(said, "Check that the cluster is running") {
				t.Errorf("the error says %s", said)
			}
			if clean.State != before {
				t.Error("the state has changed")
			}
		})
	}
	clean.RequireNoErrors(clean.Configure(acctest.Object{"kubernetes": acctest.Object{"host": clean.URL, "token": "unused"}}, false).Diagnostics)
	clean.FailRequest(0, acctest.Fault{})
	delete(clean.config, "timeouts")
	clean.RequireNoErrors(clean.Apply(clean.config))
	clean.checkFinish(t)
}

func TestAccNamespaceFaults_update(t *testing.T) {
	t.Parallel()
	testFaultsOfUpdate(t, selectFaults)
}

func testFaultsOfUpdate(t *testing.T, faultsAt func(n int) []acctest.Fault) {
	t.Helper()
	change := func(t *testing.T, c trial) {
		t.Helper()
		c.config["labels"] = acctest.Object{"team": "imaging"}
		c.config["resource_quota"] = acctest.Object{"pods": "6"}
		c.config["service_account"] = acctest.Object{"name": "other"}
	}
	clean := newTrial(t)
	clean.RequireNoErrors(clean.Apply(clean.config))
	clean.FailRequest(0, acctest.Fault{})
	change(t, clean)
	clean.RequireNoErrors(clean.Apply(clean.config))
	testEachRequest(t, clean.CountRequests(), faultsAt, func(t *testing.T, n int, f acctest.Fault) {
		c := newTrial(t)
		c.RequireNoErrors(c.Apply(c.config))
		before := c.State
		change(t, c)
		c.shortenTimeouts(f)
		c.FailRequest(n, f)
		if diagnostics := c.Apply(c.config); acctest.HasErrors(diagnostics) {
			c.checkError(t, f, diagnostics)
			if got, want := c.DecodeAttributes(c.Schema(), c.State)["resource_quota"], c.DecodeAttributes(c.Schema(), before)["resource_quota"]; !got.Equal(want) {
				t.Errorf("the state has %s, want %s as before", got, want)
			}
		}
		c.checkFinish(t)
		for _, object := range []*rbacv1.Role{{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "brane"}}} {
			acctest.NoError(t, c.CheckGone(object))
		}
	})
}

func TestAccNamespaceFaults_delete(t *testing.T) {
	t.Parallel()
	const requests = 3 // DELETE, GET, and a watch; how many follow is a matter of time
	testEachRequest(t, requests, everyFault, func(t *testing.T, n int, f acctest.Fault) {
		c := newTrial(t)
		c.shortenTimeouts(f)
		c.RequireNoErrors(c.Apply(c.config))
		c.FailRequest(n, f)
		if diagnostics := c.Apply(nil); acctest.HasErrors(diagnostics) {
			c.checkError(t, f, diagnostics)
			if !c.Exists() {
				t.Error("the state has forgotten the namespace")
			}
			delete(c.config, "timeouts")
			c.FailRequest(0, acctest.Fault{})
			if c.RequireNoErrors(c.Refresh()); c.Exists() { // and not on its way out already
				c.RequireNoErrors(c.Apply(c.config))
				c.RequireNoErrors(c.Apply(nil))
			}
		}
		if c.Exists() {
			t.Error("it is still in the state")
		}
	})
}

// The API server becomes unavailable for twelve requests during an apply and a destroy, and recovers: they finish.
func TestAccNamespaceFaults_away(t *testing.T) {
	t.Parallel()
	byName := map[string]acctest.Fault{}
	for _, f := range acctest.Faults {
		byName[f.Name] = f
	}
	for name, answers := range map[string][]string{
		"connections are reset": {"connection reset"},
		"it is too busy":        {"429"},
		"it starts, and does not know yet who may do what": {"connection reset", "403"},
		"it starts, and does not know yet who is who":      {"connection reset", "401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTrial(t)
			shut := func(n int) {
				var met atomic.Int64
				c.FailRequests(n, 12, acctest.Fault{Name: name, Answer: func(w http.ResponseWriter, r *http.Request) {
					at := min(int(met.Add(1)-1)/7, len(answers)-1) // the first seven requests, and the others
					byName[answers[at]].Answer(w, r)
				}})
			}
			shut(3)
			c.RequireNoErrors(c.Apply(c.config))
			if c.CountRequests() <= 15 {
				t.Errorf("only %d requests: it was never away", c.CountRequests())
			}
			c.config["labels"] = acctest.Object{"team": "imaging"}
			shut(2)
			c.RequireNoErrors(c.Apply(c.config))
			c.checkFinish(t)
			shut(2)
			c.RequireNoErrors(c.Apply(nil))
			if c.CountRequests() <= 14 {
				t.Errorf("only %d requests: it was never away from the destroy", c.CountRequests())
			}
		})
	}
}

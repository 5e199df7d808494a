package provider_test

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
)

// trial is a namespace in a cluster behind a gate.
type trial struct {
	setting
	*gate
	*life
	config object
}

func newTrial(t *testing.T) trial {
	t.Helper()
	s := setting{client: clustertest.Client(t), namespace: clustertest.Name("fault")}
	g := newGate(t, (*httptest.Server).Start)
	speaker := newSpeaker(t)
	speaker.ok(speaker.configure(object{"kubernetes": object{"host": g.URL, "token": "unused"}}, false).Diagnostics)
	t.Cleanup(func() {
		err := s.client.Delete(context.Background(), namespaceObject(s))
		if !apierrors.IsNotFound(err) {
			must(t, err)
		}
	})
	return trial{s, g, speaker.life("brane_namespace"), object{
		"name":                 s.namespace,
		"resource_quota":       object{"pods": "5"},
		"registry_credentials": object{"r.example.org": object{"username": "u", "password_wo": "never-told", "password_wo_version": 1}},
	}}
}

// impatient shortens the limit of operations that get no response; other operations need more time on a busy machine.
func (c trial) impatient(f fault) {
	if f.name == "no answer" {
		c.config["timeouts"] = object{"create": "3s", "update": "3s", "delete": "3s"}
	}
}

func namespaceObject(s setting) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
}

// told checks that an error states what was attempted and what came back, and contains no secret.
func (c trial) told(t *testing.T, f fault, diagnostics []*tfprotov6.Diagnostic) {
	t.Helper()
	said := tell(diagnostics)
	wants := []string{fmt.Sprintf("namespace %q in the cluster at %s", c.namespace, c.URL), gateSays}
	switch f.name {
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

// finishes checks that an apply without faults succeeds and that the next plan is empty.
func (c trial) finishes(t *testing.T) {
	t.Helper()
	c.arm(0, fault{})
	delete(c.config, "timeouts")
	if c.there() {
		c.ok(c.refresh())
	}
	c.ok(c.apply(c.config))
	c.ok(c.refresh())
	if _, changes := c.planned(c.config); changes || !c.there() {
		t.Error("the plan after it is not empty")
	}
	if got, want := c.identified(), "name="+c.namespace; got != want {
		t.Errorf("identity %s, want %s", got, want)
	}
}

// each runs a test for every fault at every request of the operation.
func each(t *testing.T, requests int, test func(t *testing.T, n int, f fault)) {
	t.Helper()
	for n := 1; n <= requests; n++ {
		for _, f := range faults {
			t.Run(fmt.Sprintf("%s at request %d", f.name, n), func(t *testing.T) {
				t.Parallel()
				test(t, n, f)
			})
		}
	}
}

func TestAccNamespaceFaults_create(t *testing.T) {
	t.Parallel()
	clean := newTrial(t)
	clean.ok(clean.apply(clean.config))
	each(t, clean.requests(), func(t *testing.T, n int, f fault) {
		c := newTrial(t)
		c.impatient(f)
		c.arm(n, f)
		diagnostics := c.apply(c.config)
		if failed(diagnostics) {
			c.told(t, f, diagnostics)
			c.arm(0, fault{})
			live := namespaceObject(c.setting)
			err := c.client.Get(t.Context(), live)
			if c.there() != (err == nil) {
				t.Fatalf("the state has a namespace: %t; reading it: %v", c.there(), err)
			}
			if c.there() {
				if got := c.text(c.answer(c.schema(), c.state)["uid"]); got != string(live.UID) {
					t.Errorf("uid %s in the state, %s in the cluster", got, live.UID)
				}
				if want := "name=" + c.namespace; c.identified() != want {
					t.Errorf("identity %s, want %s", c.identified(), want)
				}
				delete(c.config, "timeouts")
				c.ok(c.refresh())
				c.ok(c.apply(c.config))
				c.ok(c.apply(nil)) // the CLI replaces what was not made completely
			}
		}
		c.finishes(t)
	})
}

func TestAccNamespaceFaults_read(t *testing.T) {
	t.Parallel()
	clean := newTrial(t)
	clean.ok(clean.apply(clean.config))
	clean.arm(0, fault{})
	clean.ok(clean.refresh())
	requests := clean.requests()
	// One after the other in one namespace: reading leaves nothing behind.
	for n := 1; n <= requests; n++ {
		for _, f := range faults {
			if f.name == "no answer" {
				continue // below: with a limit of its own
			}
			t.Run(fmt.Sprintf("%s at request %d", f.name, n), func(t *testing.T) {
				before := clean.state
				clean.arm(n, f)
				if diagnostics := clean.refresh(); failed(diagnostics) {
					clean.told(t, f, diagnostics)
					if clean.state != before {
						t.Error("the state has changed")
					}
				}
			})
		}
	}
	clean.arm(0, fault{})
	clean.config["timeouts"] = object{"read": "2s"}
	clean.ok(clean.apply(clean.config))
	before := clean.state
	for n := 1; n <= requests; n++ {
		t.Run(fmt.Sprintf("no answer at request %d", n), func(t *testing.T) {
			// A process of its own: one does not ask a server again that has just not answered.
			clean.ok(clean.configure(object{"kubernetes": object{"host": clean.URL, "token": "unused"}}, false).Diagnostics)
			clean.arm(n, faults[len(faults)-1])
			diagnostics := clean.refresh()
			clean.told(t, faults[len(faults)-1], diagnostics)
			if said := tell(diagnostics); !strings.Contains(said, "not finished after 2s (timeouts.read)") || !strings.Contains(said, "Check that the cluster is running") {
				t.Errorf("the error says %s", said)
			}
			if clean.state != before {
				t.Error("the state has changed")
			}
		})
	}
	clean.ok(clean.configure(object{"kubernetes": object{"host": clean.URL, "token": "unused"}}, false).Diagnostics)
	clean.arm(0, fault{})
	delete(clean.config, "timeouts")
	clean.ok(clean.apply(clean.config))
	clean.finishes(t)
}

func TestAccNamespaceFaults_update(t *testing.T) {
	t.Parallel()
	change := func(t *testing.T, c trial) {
		t.Helper()
		c.config["labels"] = object{"team": "imaging"}
		c.config["resource_quota"] = object{"pods": "6"}
		c.config["service_account"] = object{"name": "other"}
	}
	clean := newTrial(t)
	clean.ok(clean.apply(clean.config))
	clean.arm(0, fault{})
	change(t, clean)
	clean.ok(clean.apply(clean.config))
	each(t, clean.requests(), func(t *testing.T, n int, f fault) {
		c := newTrial(t)
		c.ok(c.apply(c.config))
		before := c.state
		change(t, c)
		c.impatient(f)
		c.arm(n, f)
		if diagnostics := c.apply(c.config); failed(diagnostics) {
			c.told(t, f, diagnostics)
			if got, want := c.answer(c.schema(), c.state)["resource_quota"], c.answer(c.schema(), before)["resource_quota"]; !got.Equal(want) {
				t.Errorf("the state has %s, want %s as before", got, want)
			}
		}
		c.finishes(t)
		for _, object := range []*rbacv1.Role{{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "brane"}}} {
			must(t, c.gone(object))
		}
	})
}

func TestAccNamespaceFaults_delete(t *testing.T) {
	t.Parallel()
	const requests = 3 // DELETE, GET, and a watch; how many follow is a matter of time
	each(t, requests, func(t *testing.T, n int, f fault) {
		c := newTrial(t)
		c.impatient(f)
		c.ok(c.apply(c.config))
		c.arm(n, f)
		if diagnostics := c.apply(nil); failed(diagnostics) {
			c.told(t, f, diagnostics)
			if !c.there() {
				t.Error("the state has forgotten the namespace")
			}
			delete(c.config, "timeouts")
			c.arm(0, fault{})
			if c.ok(c.refresh()); c.there() { // and not on its way out already
				c.ok(c.apply(c.config))
				c.ok(c.apply(nil))
			}
		}
		if c.there() {
			t.Error("it is still in the state")
		}
	})
}

// The API server becomes unavailable for twelve requests during an apply and a destroy, and recovers: they finish.
func TestAccNamespaceFaults_away(t *testing.T) {
	t.Parallel()
	byName := map[string]fault{}
	for _, f := range faults {
		byName[f.name] = f
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
				c.shut(n, 12, fault{name, func(w http.ResponseWriter, r *http.Request) {
					at := min(int(met.Add(1)-1)/7, len(answers)-1) // the first seven requests, and the others
					byName[answers[at]].answer(w, r)
				}})
			}
			shut(3)
			c.ok(c.apply(c.config))
			if c.requests() <= 15 {
				t.Errorf("only %d requests: it was never away", c.requests())
			}
			c.config["labels"] = object{"team": "imaging"}
			shut(2)
			c.ok(c.apply(c.config))
			c.finishes(t)
			shut(2)
			c.ok(c.apply(nil))
			if c.requests() <= 14 {
				t.Errorf("only %d requests: it was never away from the destroy", c.requests())
			}
		})
	}
}

package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// chain returns two steps in a row; if wait is set, the first lasts until it is released.
func (l *lab) chain(waits bool) []workflow.Step {
	then := "true"
	if waits {
		then = l.wait()
	}
	return []workflow.Step{l.step("s1", then), l.step("s2", "true", "s1")}
}

// ranOnce checks that each step of a run has run, and not twice.
func (l *lab) ranOnce(run *Run) {
	l.t.Helper()
	for _, step := range run.Graph.Steps() {
		if n := l.counter.of(step); n != 1 {
			l.t.Errorf("step %s ran %d times", step, n)
		}
	}
}

// child returns a process that executes the run and can be killed. It is the test binary, see TestChild.
func (l *lab) child(run *Run) *exec.Cmd {
	l.t.Helper()
	return l.program(childSpec{ID: run.ID, Namespace: run.Namespace, Steps: run.Graph.All(), Lease: run.leaseTime})
}

// program starts such a process.
func (l *lab) program(child childSpec) *exec.Cmd {
	l.t.Helper()
	spec, err := json.Marshal(child)
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+string(spec))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return cmd
}

// kill kills a process, and waits until it is gone.
func kill(t *testing.T, child *exec.Cmd) {
	t.Helper()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
}

const childVariable = "BRANE_TEST_CHILD"

type childSpec struct {
	ID, Namespace string
	Steps         []workflow.Step
	Lease         time.Duration
	Token         string // of the service account that delegates the run; empty if the run is executed
	Changes       int    // see delegateAndDie
}

// TestChild is not a test: it is the process that other tests kill.
func TestChild(t *testing.T) {
	text := os.Getenv(childVariable)
	if text == "" {
		return
	}
	var spec childSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, admin: clustertest.Client(t), namespace: spec.Namespace, redis: dial(t), variable: func(name string) string { return clustertest.Getenv(t, name) }}
	run := l.run(spec.Steps...)
	run.ID, run.leaseTime, run.Holder = spec.ID, spec.Lease, "a child"
	if spec.Token != "" {
		delegateAndDie(t, run, spec.Token, spec.Changes)
		return
	}
	if _, err := run.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The resource version of a watch is too old, as after a compaction of etcd: it lists again, and misses nothing.
func TestWatchExpires(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	run := l.run(l.chain(false)...)
	var expired atomic.Int64
	run.Kube = through(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if request.URL.Query().Has("watch") && expired.Add(1) <= 6 {
			status := apierrors.NewResourceExpired("too old resource version").Status()
			status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
			body, err := json.Marshal(status)
			if err != nil {
				return nil, err
			}
			return &http.Response{
				StatusCode: http.StatusGone, Status: "410 Gone", Proto: "HTTP/2.0", ProtoMajor: 2, Request: request, ContentLength: int64(len(body)),
				Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
			}, nil
		}
		return next.RoundTrip(request)
	})
	await(t, "the run", execute(t.Context(), run)).succeeds(t)
	if expired.Load() < 3 {
		t.Errorf("only %d watches were opened", expired.Load())
	}
	l.ranOnce(run)
}

// The namespace is deleted during the run: the error is the same whether a watch or the renewal of the lease notices it.
func TestNamespaceDeleted(t *testing.T) {
	t.Parallel()
	for name, isWatched := range map[string]bool{"a watch notices it": true, "the renewal of the lease notices it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			run := l.run(l.chain(true)...)
			if !isWatched {
				run.Kube = through(t, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
					if request.URL.Query().Has("watch") { // it never reports an event
						<-request.Context().Done()
						return nil, request.Context().Err()
					}
					return next.RoundTrip(request)
				})
			}
			ended := execute(t.Context(), run)
			await(t, "the step", l.counter.arrived)
			if err := l.admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.namespace}}); err != nil {
				t.Fatal(err)
			}
			err := await(t, "the end", ended).err
			var gone *workflow.NamespaceGoneError
			if want := fmt.Sprintf(`namespace %q was deleted while run %q was running in it, and the Jobs of the run with it`, l.namespace, run.ID); !errors.As(err, &gone) || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// The run is destroyed while another process executes it.
func TestRunDeleted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	run := l.run(l.chain(true)...)
	ended := execute(t.Context(), run)
	await(t, "the step", l.counter.arrived)
	if err := Delete(t.Context(), l.admin, l.namespace, run.ID, ""); err != nil {
		t.Fatal(err)
	}
	end := await(t, "the end", ended)
	var gone *workflow.RecordGoneError
	if deleted := len(end.result.Failures) == 1 && end.result.Failures[0].Reason == workflow.ReasonJobDeleted; !errors.As(end.err, &gone) && !deleted {
		t.Errorf("the run ended with %+v, %v", end.result, end.err)
	}
	if jobs := l.jobs(run); len(jobs) > 0 {
		t.Errorf("%q are left", jobs)
	}
}

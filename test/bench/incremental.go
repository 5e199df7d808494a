package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// incrementalSteps is the number of steps of the run that is changed.
const incrementalSteps = 100

const incrementalConfiguration = `
terraform {
  required_providers {
    brane = { source = "braneframework/brane" }
  }
}

provider "brane" {
  kubernetes = {
    host                   = %q
    cluster_ca_certificate = %q
  }
}

variable "namespace" { type = string }
variable "image" { type = string }
variable "memory" { type = string }
variable "command" { type = string }

locals {
  last = 100
}

resource "brane_workflow_run" "bench" {
  name      = "bench"
  namespace = var.namespace
  steps = { for i in range(1, local.last + 1) : "step-${i}" => {
    image     = var.image
    command   = ["sh", "-ec", i == local.last ? var.command : "echo ${i} > /data/${i}"]
    needs     = i == 1 ? null : ["step-${i - 1}"]
    resources = { limits = { memory = i == local.last ? var.memory : "32Mi" } }
  } }
}
`

// measureIncremental measures what changes of the last of 100 steps cost, which was run before.
func measureIncremental(ctx context.Context, r *report, o options) (err error) {
	p, err := newProxy(os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	defer p.close()
	c, err := newCLI(o, o.ownProvider(), p, incrementalConfiguration)
	if err != nil {
		return err
	}
	defer os.RemoveAll(c.dir)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%sincremental-%d", prefix, os.Getpid())}}
	if err := p.admin.Create(ctx, namespace); err != nil {
		return err
	}
	memory, last := 32, "true" // of the last step, in the latest apply
	run := func(ctx context.Context, command string) (cost, error) {
		return c.runCommand(ctx, command,
			"-var=namespace="+namespace.Name, "-var=image="+os.Getenv("BRANE_TOOLS_IMAGE"), fmt.Sprintf("-var=memory=%dMi", memory), "-var=command="+last)
	}
	defer func() { // also after Ctrl-C
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
		defer done()
		_, destroyErr := run(ctx, "destroy")
		err = errors.Join(err, destroyErr, p.admin.Delete(ctx, namespace))
	}()
	first, err := run(ctx, "apply")
	if err != nil {
		return err
	}
	s, err := r.repeatRounds("changes of the last step", 5*time.Minute, func(s samples) error {
		plan, err := run(ctx, "plan")
		if err != nil {
			return err
		}
		memory++
		raised, err := run(ctx, "apply")
		if err != nil {
			return err
		}
		last = fmt.Sprint("echo ", memory)
		changed, err := run(ctx, "apply")
		s.addCost("plan", plan)
		s.addCost("raised", raised)
		s.addCost("changed", changed)
		return err
	})
	if err != nil {
		return err
	}
	applied := fmt.Sprintf("apply of %d steps", incrementalSteps)
	r.add(applied, "Jobs", []float64{float64(first.jobs)})
	r.add(applied, "s", []float64{first.took.Seconds()})
	r.add("plan without changes", "s", s["plan: s"])
	r.add("apply of another memory limit", "API requests", s["raised: API requests"], withUpperLimit(25))
	r.add("apply of another memory limit", "s", s["raised: s"])
	r.add("apply of another memory limit", "× a plan without changes", s.divideRounds("raised: s", "plan: s"), withUpperLimit(2))
	r.add("apply of another last command", "Jobs", s["changed: Jobs"], withUpperLimit(1))
	r.add("apply of another last command", "API requests", s["changed: API requests"])
	r.add("apply of another last command", "s", s["changed: s"])
	return nil
}

// reuse compares the check that the files of 99 commits exist, and the extension of their deadlines, with reading the lists of their files.
func (b *fileBench) reuse(ctx context.Context, r *report) error {
	const commits = incrementalSteps - 1
	from := filepath.Join(b.dir, "many")
	if err := errors.Join(fresh(from), manyFiles(from, smallCount, 64)); err != nil {
		return err
	}
	store, err := b.open()
	if err != nil {
		return err
	}
	results, base := map[files.ResultKey]files.Record{}, files.Stored{}
	for i := range commits {
		if err := os.WriteFile(filepath.Join(from, fmt.Sprintf("of-step-%d", i)), []byte("its result"), 0o600); err != nil {
			return err
		}
		stored, err := store.Snapshot(ctx, from, nil, nil, "step")
		if err != nil {
			return err
		}
		key := files.ResultKey{Step: fmt.Sprintf("step-%d", i), Fingerprint: files.NewFingerprint(strings.Repeat("0", files.FingerprintPart), stored.Content)}
		record := files.Record{Layer: stored.Layer, Content: stored.Content, Base: base.Layer}
		if _, _, err := store.Commit(ctx, key, record); err != nil {
			return err
		}
		results[key], base = record, stored
	}
	took, err := race(
		task{name: "read", do: func() error {
			for _, record := range results {
				if _, err := store.Tree(ctx, record.Layer); err != nil {
					return err
				}
			}
			return nil
		}},
		task{name: "reuse", do: func() error {
			complete, err := store.NewExtender().Extend(ctx, results)
			for key := range results {
				if err == nil && !complete[key] {
					err = fmt.Errorf("the files of %s are said to be gone", key)
				}
			}
			return err
		}},
	)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d commits with %d files", commits, smallCount)
	r.add("reading the lists of "+what, "ms", took.scaleRounds("read", 1000))
	r.add("reusing "+what, "× reading their lists", took.divideRounds("reuse", "read"), withUpperLimit(2))
	return errors.Join(os.RemoveAll(from), b.server.empty(ctx))
}

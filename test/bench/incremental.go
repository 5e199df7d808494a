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
	c, err := newCLI(o, p, incrementalConfiguration)
	if err != nil {
		return err
	}
	defer os.RemoveAll(c.dir)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%sincremental-%d", prefix, os.Getpid())}}
	if err := p.admin.Create(ctx, namespace); err != nil {
		return err
	}
	run := func(ctx context.Context, command, memory, last string) (cost, error) {
		return c.runCommand(ctx, command, "-var=namespace="+namespace.Name, "-var=image="+os.Getenv("BRANE_TOOLS_IMAGE"), "-var=memory="+memory, "-var=command="+last)
	}
	defer func() { // also after Ctrl-C
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
		defer done()
		_, destroyErr := run(ctx, "destroy", "32Mi", "true")
		err = errors.Join(err, destroyErr, p.admin.Delete(ctx, namespace))
	}()
	first, err := run(ctx, "apply", "32Mi", "true")
	if err != nil {
		return err
	}
	r.add("apply of %d steps: Jobs", float64(first.jobs), 0, incrementalSteps)
	r.add("apply of %d steps: seconds", first.took.Seconds(), 0, incrementalSteps)
	plan, err := run(ctx, "plan", "32Mi", "true")
	if err != nil {
		return err
	}
	r.add("plan without changes: seconds", plan.took.Seconds(), 0)
	var raised cost
	for turn := range turns { // disturbances only add time
		again, err := run(ctx, "apply", fmt.Sprintf("%dMi", 64+turn), "true")
		if err != nil {
			return err
		}
		if turn == 0 || again.took < raised.took {
			raised = again
		}
	}
	r.add("apply of another memory limit: API requests", float64(raised.requests), 25)
	r.add("apply of another memory limit: seconds", raised.took.Seconds(), 1.5)
	changed, err := run(ctx, "apply", "64Mi", "echo changed")
	if err != nil {
		return err
	}
	r.add("apply of another last command: Jobs", float64(changed.jobs), 1)
	r.add("apply of another last command: API requests", float64(changed.requests), 0)
	r.add("apply of another last command: seconds", changed.took.Seconds(), 0)
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
	r.add("reading the lists of %d commits with %d files: ms", 1000*took.seconds("read"), 0, commits, smallCount)
	r.add("reusing them: × reading", took.ratio("reuse", "read"), 2)
	return errors.Join(os.RemoveAll(from), b.server.empty(ctx))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// appliedSteps is the number of steps of a chain that a CLI applies.
const appliedSteps = 10

const appliedConfiguration = `
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
variable "name" { type = string }

resource "brane_workflow_run" "bench" {
  name      = var.name
  namespace = var.namespace
  steps = { for i in range(10) : "step-${i}" => {
    image   = var.image
    command = ["sh", "-c", "date >> /data/lines"]
    needs   = i == 0 ? null : ["step-${i - 1}"]
  } }
}
`

// peerJobConfiguration is one Job of the chain; the first has nothing to depend on.
const peerJobConfiguration = `
resource "kubernetes_job_v1" "step_%[1]d" {
  depends_on = [%[2]s]

  metadata {
    name      = "${var.name}-%[1]d"
    namespace = var.namespace
  }
  spec {
    backoff_limit = 0
    template {
      metadata {}
      spec {
        restart_policy                  = "Never"
        automount_service_account_token = false
        container {
          name    = "step"
          image   = var.image
          command = ["sh", "-c", "date >> /tmp/lines"]
        }
      }
    }
  }
  wait_for_completion = true
}
`

// renderPeerChain returns the configuration of a chain of Jobs of the hashicorp/kubernetes provider.
func renderPeerChain() string {
	var text strings.Builder
	text.WriteString(peerProviderConfiguration)
	for _, name := range []string{"namespace", "image", "name"} {
		fmt.Fprintf(&text, "variable %q { type = string }\n", name)
	}
	needs := ""
	for i := range appliedSteps {
		fmt.Fprintf(&text, peerJobConfiguration, i, needs)
		needs = fmt.Sprintf("kubernetes_job_v1.step_%d", i)
	}
	return text.String()
}

// measureAppliedChains measures a chain that a CLI applies, and the same chain of Jobs of the hashicorp/kubernetes provider, if there is one.
func measureAppliedChains(ctx context.Context, r *report, o options) (err error) {
	p, err := newProxy(os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	defer p.close()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%sapplied-%d", prefix, os.Getpid())}}
	if err := p.admin.Create(ctx, namespace); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, deleteNamespaces(context.WithoutCancel(ctx), p, namespace.Name)) }() // also after Ctrl-C
	own, err := newCLI(o, o.ownProvider(), p, appliedConfiguration)
	if err != nil {
		return err
	}
	defer os.RemoveAll(own.dir)
	contenders := []contender{{own, "brane"}}
	if o.peers[kubernetesProvider] != "" {
		other, err := newCLI(o, o.peerProvider(), p, renderPeerChain())
		if err != nil {
			return err
		}
		defer os.RemoveAll(other.dir)
		contenders = append(contenders, contender{other, kubernetesProvider})
	}
	serial := 0
	s, err := r.repeatRounds(fmt.Sprintf("applies of chains of %d", appliedSteps), 10*time.Minute, func(s samples) error {
		serial++
		for _, c := range contenders {
			arguments := []string{"-var=namespace=" + namespace.Name, "-var=image=" + os.Getenv("BRANE_TOOLS_IMAGE"), fmt.Sprintf("-var=name=bench-%d", serial)}
			spent, err := c.runCommand(ctx, "apply", arguments...)
			_, destroyErr := c.runCommand(context.WithoutCancel(ctx), "destroy", arguments...)
			if err := errors.Join(err, destroyErr); err != nil {
				return err
			}
			s.addCost(c.name, spent)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, unit := range []string{"s", "API requests"} {
		r.add(fmt.Sprintf("apply of a chain of %d", appliedSteps), unit, s["brane: "+unit], withPeer(kubernetesProvider, s[kubernetesProvider+": "+unit]))
	}
	return nil
}

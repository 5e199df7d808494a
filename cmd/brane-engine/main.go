// Command brane-engine runs a workflow inside the cluster, in the Job that the provider creates if `wait = false`. It has no arguments: its
// configuration is in its pod. Package detached contains the implementation.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
)

// version is set when a release is built.
var version = "dev"

func main() {
	agent.Version = version
	if len(os.Args) > 1 {
		fmt.Println("brane-engine " + version + ": runs a workflow inside the cluster; started by a pod, without arguments")
		os.Exit(2)
	}
	logging.Disable() // of go-redis: it repeats what the engine's events report
	// A pod that is asked to stop leaves the run to the next pod.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatalf("brane-engine: %v", err)
	}
}

func run(ctx context.Context) error {
	config, err := kube.Connection{InCluster: true}.Config()
	if err != nil {
		return err
	}
	client, err := kube.New(config)
	if err != nil {
		return err
	}
	runner, err := detached.NewEngine(client, os.Getenv, logEvent)
	if err != nil {
		return err
	}
	return runner.Run(ctx)
}

// logEvent writes to the pod's log.
func logEvent(event workflow.Event) { log.Print(event) }

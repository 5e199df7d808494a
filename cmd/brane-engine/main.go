// Command brane-engine carries a run on inside the cluster, in the Job that the provider makes where `wait = false`. It has no arguments: its pod is all that
// it is told. Package workflow does all of it.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// version is set when a release is built.
var version = "dev"

func main() {
	if len(os.Args) > 1 {
		fmt.Println("brane-engine " + version + ": carries a run on inside the cluster; pods start it, without arguments")
		os.Exit(2)
	}
	logging.Disable() // of go-redis: it repeats what the engine's events report
	// A pod that is told to end leaves the run to the next one.
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
	engine, err := workflow.OpenEngine(client, os.Getenv, tell)
	if err != nil {
		return err
	}
	return engine.Run(ctx)
}

// tell is the pod's log.
func tell(event workflow.Event) { log.Print(event) }

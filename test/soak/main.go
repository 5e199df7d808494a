// Command soak applies random runs with a real CLI against the cluster that KUBECONFIG names, disturbs them at random moments, applies again, and checks after
// each operation that the outputs are those that a small model computes, that no committed step starts again, and at the end that nothing is left in the
// cluster, in Redis and in the files of the Brane instance. `make soak` calls it; it exits with 1 if a check fails.
//
// All decisions come from the seed: the same seed repeats the same operations, until the time is over. It disturbs only its own connections, through proxies,
// and only its own namespace and database of Redis, so that others can use the cluster meanwhile.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags of the command line.
type options struct {
	cli        string
	provider   string // path of the provider's binary
	duration   time.Duration
	seed       uint64
	operations int // ends after so many operations; 0: when the time is over
	directory  string
}

func main() {
	var o options
	flag.StringVar(&o.cli, "cli", "terraform", "the CLI")
	flag.StringVar(&o.provider, "provider", ".bin/terraform-provider-brane", "the provider's binary")
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "no operation begins later")
	flag.Uint64Var(&o.seed, "seed", 0, "seed of all decisions; 0: a random one")
	flag.IntVar(&o.operations, "operations", 0, "end after so many operations; 0: when the time is over")
	flag.StringVar(&o.directory, "dir", "", "directory of the configuration and the logs; by default a temporary one, which is removed if no check fails")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1 //nolint:gosec // it is not a secret
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// run runs operations until the time is over, destroys everything, and checks that nothing is left.
func run(ctx context.Context, o options) (err error) {
	if o.provider, err = filepath.Abs(o.provider); err != nil {
		return err
	}
	isTemporary := o.directory == ""
	if isTemporary {
		if o.directory, err = os.MkdirTemp("", "brane-soak-"); err != nil {
			return err
		}
	}
	s, err := newSoak(ctx, o)
	if err != nil {
		return err
	}
	fmt.Printf("seed %d, %s, namespace %s, database %d of Redis, files in %s\n", o.seed, o.duration, s.world.namespace, s.world.database, o.directory)
	began := time.Now()
	operation := 0
	for ; err == nil && ctx.Err() == nil && time.Since(began) < o.duration && (o.operations == 0 || operation < o.operations); operation++ {
		err = s.runOperation(ctx, operation+1)
	}
	if err != nil {
		fmt.Printf("\nFAILED in operation %d: %v\nReplay: make soak SEED=%d OPERATIONS=%d (the log of each command is in %s)\n",
			operation, err, o.seed, operation, o.directory)
	}
	// Also after a failure or Ctrl-C, nothing is left behind.
	clean, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
	defer done()
	if endErr := s.end(clean); endErr != nil {
		fmt.Printf("\nFAILED at the end: %v\n", endErr)
		if err == nil {
			err = endErr
		}
	}
	s.printSummary(operation, time.Since(began))
	if err == nil && isTemporary {
		return os.RemoveAll(o.directory)
	}
	return err
}

// newRandom returns the source of the decisions of one operation. Each operation has a separate one, so that how often an operation draws does not change the
// next ones.
func newRandom(seed uint64, operation int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(operation))) //nolint:gosec // it is not a secret, and there are not that many operations
}

// choose returns a random element.
func choose[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

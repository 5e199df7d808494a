package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// userLook is the interval at which the run's user is checked. A restart of Redis removes the user, and agents retry for two minutes.
const userLook = 5 * time.Second

// handOver creates the Secret with which the pods connect to Redis, and decides how the agent gets into the pods.
func (r *Run) handOver(ctx context.Context, store *files.Store, owner metav1.OwnerReference) error {
	if size := r.largeCertificate(); size > 0 && r.AgentInjection == workflow.InjectImageVolume {
		return fmt.Errorf("pass the certificates for Redis in variables: one has %d bytes, a variable holds at most %d; leave agent_injection out, or list fewer CAs", size, workflow.MaxText)
	}
	address, ownUser, err := r.podURL(ctx, store)
	if err != nil {
		return err
	}
	r.decideDelivery(ctx, ownUser)
	return r.putAccess(ctx, r.objectName(), address, owner)
}

// putAccess writes a Secret of that name with what an agent or an engine needs to connect to Redis.
func (r *Run) putAccess(ctx context.Context, name, address string, owner metav1.OwnerReference) error {
	secret := &corev1.Secret{ObjectMeta: r.meta()}
	secret.Name, secret.OwnerReferences = name, []metav1.OwnerReference{owner}
	secret.Data = map[string][]byte{agent.SecretKey: []byte(address)}
	for key, content := range map[string][]byte{agent.SecretCA: r.RedisCerts.CA, agent.SecretCert: r.RedisCerts.Cert, agent.SecretTLS: r.RedisCerts.Key} {
		if len(content) > 0 {
			secret.Data[key] = content
		}
	}
	if err := r.put(ctx, secret); err != nil { // the password may have changed, and the service account has no permission to read the Secret
		return fmt.Errorf("create the Redis credential of run %q, %s: %w", r.ID, kube.Describe(secret), err)
	}
	return nil
}

// podURL returns the address with the credential for the pods, and whether the credential is the run's own. Passwords of earlier executions stay valid.
func (r *Run) podURL(ctx context.Context, store *files.Store) (address string, own bool, err error) {
	if r.Users == workflow.UsersOff {
		return r.RedisURL, false, nil
	}
	password := rand.Text()
	name, err := store.GrantUser(ctx, password)
	if errors.Is(err, files.ErrNoUsers) && r.Users != workflow.UsersRequire {
		r.observe(workflow.Event{Kind: workflow.RunShares, Detail: err.Error()})
		return r.RedisURL, false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("create the Redis user of run %q: %w", r.ID, err)
	}
	parsed, err := url.Parse(r.RedisURL)
	if err != nil {
		return "", false, errors.New("the Redis URL of the pods cannot be parsed") // not err, whose text contains the URL with the password
	}
	parsed.User = url.UserPassword(name, password)
	return parsed.String(), true, nil
}

// holdUser creates the run's user again whenever Redis has lost it, until let is called. That removes the user, unless pods still need it.
func (r *Run) holdUser(ctx context.Context, store *files.Store) (let func(stillNeeded bool)) {
	if r.Users == workflow.UsersOff {
		return func(bool) {}
	}
	looking, stop := context.WithCancel(ctx)
	var looker sync.WaitGroup
	lost := 0
	looker.Go(func() { lost = lookForUser(looking, store) })
	return func(stillNeeded bool) {
		stop()
		looker.Wait()
		if lost > 0 {
			r.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: fmt.Sprintf("Redis had lost the user of the run; it was created again (%d times)", lost)})
		}
		if stillNeeded {
			return
		}
		// This has to happen after Ctrl-C as well, so it has a separate short timeout.
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer done()
		if err := store.RevokeUser(ctx); err != nil {
			r.observe(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error() + "; destroying the run removes it"})
		}
	}
}

// lookForUser checks the run's Redis user until ctx ends and returns how often it was lost.
func lookForUser(ctx context.Context, store *files.Store) (lost int) {
	_ = wait.PollUntilContextCancel(ctx, userLook, false, func(ctx context.Context) (bool, error) {
		// If Redis does not answer, the loop meets the same error and reports it.
		if again, err := store.KeepUser(ctx); again && err == nil {
			lost++
		}
		return false, nil
	})
	return lost
}

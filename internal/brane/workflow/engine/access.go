package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/objectsize"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
)

// userInterval is the interval at which the run's user is checked. A restart of Redis removes the user, and agents retry for two minutes.
const userInterval = 5 * time.Second

// ensureRedisAccess creates the Secret with which the pods connect to Redis. It reports whether the credential is the run's own.
func ensureRedisAccess(
	ctx context.Context, lease *record.Lease, store *files.Store, spec *workflow.Spec, clients Clients, observe workflow.Observer,
) (hasOwnUser bool, err error) {
	address, hasOwnUser, err := createRedisUser(ctx, store, spec, clients.RedisURL, observe)
	if err != nil {
		return false, err
	}
	meta := newObjectMeta(spec.Ref(), spec.Ref().AccessName(lease.Term()), lease.Owner())
	return hasOwnUser, CreateAccessSecret(ctx, clients.Kube, spec.ID, meta, address, clients.Certificates)
}

// CheckCertificates reports certificates that do not fit into the Secret of a run, or into the variables with which an image volume passes
// them on.
func CheckCertificates(certificates files.Certificates, injection workflow.AgentInjection) error {
	if size := findLargeCertificate(certificates); size > 0 && injection == workflow.InjectImageVolume {
		return fmt.Errorf("one has %d bytes, and with agent_injection = %q it is in a variable, which has at most %d; leave agent_injection out, or list fewer CAs",
			size, injection, workflow.MaxText)
	}
	const maxURL = 8 << 10
	if err := objectsize.Check(buildAccessSecret(metav1.ObjectMeta{}, strings.Repeat("x", maxURL), certificates), 0); err != nil {
		return fmt.Errorf("they are in one Secret with the URL: %w; list fewer CAs", err)
	}
	return nil
}

// CreateAccessSecret creates a Secret with what an agent or an engine needs to connect to Redis.
func CreateAccessSecret(ctx context.Context, client *kube.Client, id string, meta metav1.ObjectMeta, address string, certificates files.Certificates) error {
	secret := buildAccessSecret(meta, address, certificates)
	if err := createSecret(ctx, client, secret); err != nil {
		return fmt.Errorf("create the Redis credential of run %q, %s: %w", id, kube.Describe(secret), err)
	}
	return nil
}

func buildAccessSecret(meta metav1.ObjectMeta, address string, certificates files.Certificates) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{agent.SecretKey: []byte(address)}}
	for key, content := range map[string][]byte{agent.SecretCA: certificates.CA, agent.SecretCert: certificates.Cert, agent.SecretTLS: certificates.Key} {
		if len(content) > 0 {
			secret.Data[key] = content
		}
	}
	return secret
}

// createRedisUser returns the address with the credential for the pods, and whether the credential is the run's own. Passwords of earlier
// executions stay valid.
func createRedisUser(
	ctx context.Context, store *files.Store, spec *workflow.Spec, redisURL string, observe workflow.Observer,
) (address string, isOwn bool, err error) {
	if spec.Users == workflow.UsersOff {
		return redisURL, false, nil
	}
	password := rand.Text()
	name, err := store.GrantUser(ctx, password)
	if errors.Is(err, files.ErrNoUsers) && spec.Users != workflow.UsersRequire {
		observe.Report(workflow.Event{Kind: workflow.RunShares, Detail: err.Error()})
		return redisURL, false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("create the Redis user of run %q: %w", spec.ID, err)
	}
	parsed, err := url.Parse(redisURL)
	if err != nil {
		return "", false, errors.New("the Redis URL of the pods cannot be parsed") // not err, whose text contains the URL with the password
	}
	parsed.User = url.UserPassword(name, password)
	return parsed.String(), true, nil
}

// keepRedisUser creates the run's user again whenever Redis has lost it, until stop is called. That removes the user, unless pods still
// need it.
func keepRedisUser(ctx context.Context, store *files.Store, users workflow.RedisUsers, observe workflow.Observer) (stop func(isStillNeeded bool)) {
	if users == workflow.UsersOff {
		return func(bool) {}
	}
	watching, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	lost := 0
	watcher.Go(func() { lost = watchRedisUser(watching, store) })
	return func(isStillNeeded bool) {
		cancel()
		watcher.Wait()
		if lost > 0 {
			detail := fmt.Sprintf("Redis had lost the user of the run; it was created again (%d times)", lost)
			observe.Report(workflow.Event{Kind: workflow.RunDisturbed, Detail: detail})
		}
		if isStillNeeded {
			return
		}
		// This has to happen after Ctrl-C as well, so it has a separate short timeout.
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer done()
		if err := store.RevokeUser(ctx); err != nil {
			observe.Report(workflow.Event{Kind: workflow.RunDisturbed, Detail: err.Error() + "; destroying the run removes it"})
		}
	}
}

// watchRedisUser checks the run's Redis user until ctx ends and returns how often it was lost.
func watchRedisUser(ctx context.Context, store *files.Store) (lost int) {
	_ = wait.PollUntilContextCancel(ctx, userInterval, false, func(ctx context.Context) (bool, error) {
		// If Redis does not answer, the loop meets the same error and reports it.
		if again, err := store.KeepUser(ctx); again && err == nil {
			lost++
		}
		return false, nil
	})
	return lost
}

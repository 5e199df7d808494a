package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	runs "github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
)

// disturbance is a fault that happens while a command of the CLI runs.
type disturbance struct {
	name   string
	weight int
	stops  bool // programs can be stopped, so that they start again
	harms  bool // stored files can be lost, so that completed steps start again
	happen func(ctx context.Context, s *soak, c *command, random *rand.Rand) error
}

var disturbances = []disturbance{
	{"the provider is killed", 4, false, false, func(_ context.Context, _ *soak, c *command, _ *rand.Rand) error { return c.killProvider() }},
	{"Ctrl-C", 3, true, false, func(_ context.Context, _ *soak, c *command, _ *rand.Rand) error { return c.interrupt() }},
	{"a pod is deleted", 3, true, false, func(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
		return s.deleteOne(ctx, random, &corev1.PodList{}, runs.RunLabel)
	}},
	{"a pod is evicted", 2, true, false, evictPod},
	{"a Job is deleted", 2, true, false, func(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
		return s.deleteOne(ctx, random, &batchv1.JobList{}, runs.RunLabel)
	}},
	{"a ConfigMap is deleted", 2, true, false, func(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
		return s.deleteOne(ctx, random, &corev1.ConfigMapList{}, runs.RunLabel)
	}},
	{"a Secret is deleted", 2, true, false, func(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
		return s.deleteOne(ctx, random, &corev1.SecretList{}, runs.RunLabel)
	}},
	{"the lease is taken over", 2, true, false, takeLease},
	{"the lease is deleted", 2, true, false, deleteLease},
	{"the tokens are revoked", 2, false, false, revokeTokens},
	{"a key in Redis is deleted", 2, true, true, deleteKey},

	{"the API server resets connections", 2, false, false, answering(disturb.AnswerReset)},
	{"the API server answers with 500", 2, false, false, answering(disturb.AnswerStatus(http.StatusInternalServerError, metav1.StatusReasonInternalError))},
	{"the API server answers with 503", 1, false, false, answering(disturb.AnswerStatus(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable))},
	{"the API server answers with 429", 2, false, false, answering(disturb.AnswerStatus(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests))},
	{"the API server does not answer", 2, false, false, answering(disturb.AnswerNothing)},
	{"the API server is slow", 2, false, false, answering(disturb.AnswerLate(300 * time.Millisecond))},

	{"connections to Redis are reset", 3, false, false, func(_ context.Context, s *soak, _ *command, _ *rand.Rand) error { s.world.redis.Reset(); return nil }},
	{"Redis is away", 3, false, false, refusing(disturb.RedisFault{IsAway: true})},
	{"Redis does not answer", 2, false, false, refusing(disturb.RedisFault{Hangs: true})},
	{"Redis is slow", 2, false, false, refusing(disturb.RedisFault{Delay: 100 * time.Millisecond})},
	{"Redis answers with LOADING", 1, false, false, refusing(disturb.RedisFault{Error: "LOADING Redis is loading the dataset in memory"})},
	{"Redis answers with NOREPLICAS", 1, false, false, refusing(disturb.RedisFault{Error: "NOREPLICAS Not enough good replicas to write.", Writes: true})},
	{"Redis answers with READONLY", 1, false, false, refusing(disturb.RedisFault{Error: "READONLY You can't write against a read only replica.", Writes: true})},
	{"Redis answers with CLUSTERDOWN", 1, false, false, refusing(disturb.RedisFault{Error: "CLUSTERDOWN The cluster is down"})},
}

// planned is a disturbance with its moment.
type planned struct {
	disturbance
	at moment
}

func (p planned) String() string { return fmt.Sprintf("%s at %s %d", p.name, p.at.kind, p.at.n) }

// planDisturbances returns random disturbances at different moments.
func planDisturbances(random *rand.Rand, count int) (all []planned) {
	taken := map[moment]bool{}
	for range count {
		at := moment{kind: choose(random, "request", "command", "start", "end")}
		switch at.kind {
		case "request":
			at.n = 1 + random.IntN(50)
		case "command":
			at.n = 1 + random.IntN(120)
		default:
			at.n = 1 + random.IntN(5)
		}
		for taken[at] {
			at.n++
		}
		taken[at] = true
		all = append(all, planned{chooseWeighted(random, disturbances, func(d disturbance) int { return d.weight }), at})
	}
	return all
}

// chooseWeighted returns a random element; its probability is its weight.
func chooseWeighted[T any](random *rand.Rand, of []T, weight func(T) int) T {
	total := 0
	for _, each := range of {
		total += weight(each)
	}
	n := random.IntN(total)
	for _, each := range of {
		if n -= weight(each); n < 0 {
			return each
		}
	}
	panic("unreachable")
}

// answering returns a disturbance of the API server, which lasts for some seconds.
func answering(answer disturb.Answer) func(context.Context, *soak, *command, *rand.Rand) error {
	return func(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
		s.world.server.Disturb(answer, true)
		s.repairLater(ctx, random, s.world.server.Repair)
		return nil
	}
}

// refusing returns a disturbance of Redis, which lasts for some seconds.
func refusing(fault disturb.RedisFault) func(context.Context, *soak, *command, *rand.Rand) error {
	return func(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
		s.world.redis.Disturb(fault)
		s.repairLater(ctx, random, s.world.redis.Repair)
		return nil
	}
}

// repairLater ends a fault after 1 to 20 seconds.
func (s *soak) repairLater(ctx context.Context, random *rand.Rand, repair func()) {
	lasts := time.Duration(1000+random.IntN(19000)) * time.Millisecond
	s.moments.running.Go(func() {
		select {
		case <-time.After(lasts): // the fault itself
		case <-ctx.Done():
		}
		repair()
	})
}

// objectsOf returns the objects of a list, sorted by name.
func (s *soak) objectsOf(ctx context.Context, list kube.List, labels string) ([]kube.Object, error) {
	if err := s.world.admin.List(ctx, list, s.world.namespace, labels); err != nil {
		return nil, err
	}
	var all []kube.Object
	switch list := list.(type) {
	case *corev1.PodList:
		all = toObjects(list.Items, func(o *corev1.Pod) kube.Object { return o })
	case *batchv1.JobList:
		all = toObjects(list.Items, func(o *batchv1.Job) kube.Object { return o })
	case *corev1.ConfigMapList:
		all = toObjects(list.Items, func(o *corev1.ConfigMap) kube.Object { return o })
	case *corev1.SecretList:
		all = toObjects(list.Items, func(o *corev1.Secret) kube.Object { return o })
	default:
		return nil, fmt.Errorf("unexpected list %T", list)
	}
	slices.SortFunc(all, func(a, b kube.Object) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all, nil
}

func toObjects[T any](items []T, convert func(*T) kube.Object) []kube.Object {
	all := make([]kube.Object, len(items))
	for i := range items {
		all[i] = convert(&items[i])
	}
	return all
}

// deleteOne deletes a random object.
func (s *soak) deleteOne(ctx context.Context, random *rand.Rand, list kube.List, labels string) error {
	all, err := s.objectsOf(ctx, list, labels)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("there is no object in a %T", list)
	}
	object := all[random.IntN(len(all))]
	s.print("  deletes %s", kube.Describe(object))
	return s.world.admin.Delete(ctx, object)
}

// evictPod evicts a random pod, as a drain does.
func evictPod(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
	all, err := s.objectsOf(ctx, &corev1.PodList{}, runs.RunLabel)
	if err != nil || len(all) == 0 {
		return fmt.Errorf("there is no pod (%w)", err)
	}
	pod := all[random.IntN(len(all))]
	s.print("  evicts %s", pod.GetName())
	return s.kubectl(ctx, policyv1.Eviction{
		TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "Eviction"}, ObjectMeta: metav1.ObjectMeta{Namespace: s.world.namespace, Name: pod.GetName()},
	}, "create", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", s.world.namespace, pod.GetName()), "-f", "-")
}

// takeLease writes another holder into the records of all runs.
func takeLease(ctx context.Context, s *soak, _ *command, _ *rand.Rand) error {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	return s.patchRecords(ctx, func(record map[string]string) string {
		transitions, _ := strconv.Atoi(record["leaseTransitions"]) // a record has it from its creation on
		return fmt.Sprintf(`{"data":{"holderIdentity":"another process_x","renewTime":%q,"leaseTransitions":"%d"}}`, now, transitions+1)
	})
}

// deleteLease removes the holder from the records of all runs.
func deleteLease(ctx context.Context, s *soak, _ *command, _ *rand.Rand) error {
	return s.patchRecords(ctx, func(map[string]string) string { return `{"data":{"holderIdentity":null,"renewTime":null}}` })
}

// patchRecords applies the merge patch that patch returns for the data of a record to the records of all runs.
func (s *soak) patchRecords(ctx context.Context, patch func(record map[string]string) string) error {
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	for _, record := range records {
		config, isConfig := record.(*corev1.ConfigMap)
		if !isConfig {
			return fmt.Errorf("unexpected record %T", record)
		}
		if err := s.world.admin.MergePatch(ctx, record, []byte(patch(config.Data))); err != nil {
			return err
		}
	}
	if len(records) == 0 {
		return fmt.Errorf("there is no record")
	}
	return nil
}

// records returns the records of all runs by their IDs.
func (s *soak) records(ctx context.Context) (map[string]kube.Object, error) {
	all, err := s.objectsOf(ctx, &corev1.ConfigMapList{}, runs.RunLabel)
	if err != nil {
		return nil, err
	}
	found := map[string]kube.Object{}
	for _, object := range all {
		ref := runs.Ref{ID: object.GetLabels()[runs.RunLabel], Namespace: s.world.namespace}
		if object.GetName() == ref.ObjectName() {
			found[ref.ID] = object
		}
	}
	return found, nil
}

// revokeTokens deletes the Secrets of long-lived tokens, or the service account with all its tokens. Another actor creates the service account again, like
// a pipeline that applies manifests: until then, no token can be requested for it, and a run waits.
func revokeTokens(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
	if s.config.isLongLived {
		return s.deleteOne(ctx, random, &corev1.SecretList{}, "!"+runs.RunLabel)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.world.namespace, Name: "brane"}}
	if err := s.world.admin.Get(ctx, account); err != nil {
		return err
	}
	if err := s.world.admin.Delete(ctx, account); err != nil {
		return err
	}
	account.UID, account.ResourceVersion = "", ""
	s.repairLater(ctx, random, func() {
		if err := s.world.admin.Create(context.WithoutCancel(ctx), account); err != nil && !apierrors.IsAlreadyExists(err) {
			s.print("  the service account cannot be created again: %v", err)
		}
	})
	return nil
}

// deleteKey deletes a random key.
func deleteKey(ctx context.Context, s *soak, _ *command, random *rand.Rand) error {
	keys, err := s.world.store.Keys(ctx, "brane:*").Result()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return fmt.Errorf("there is no key")
	}
	slices.Sort(keys)
	key := keys[random.IntN(len(keys))]
	s.print("  deletes key %s", key)
	return s.world.store.Del(ctx, key).Err()
}

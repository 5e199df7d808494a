package engine

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Prewarming. The Job of a step may be created one step early, so that its pod is there, with image and agent, when the last of its needs
// is committed; its agent waits for that. Such a pod holds resources without using them, so it must never hold what one of its needs is
// still waiting for:
//
//   - it is created only if every need is committed, or runs in a pod that is bound to a node and so has all requested resources; a pod that mounts volumes of the
//     cluster has them only when it runs;
//   - a need must not be prewarmed itself, so a Job is at most one step early;
//   - if the pod of a need is gone or fails and has to be scheduled again, the early Job is deleted, and is not created early again.
//
// Only steps that run after success, and whose needs must succeed, are prewarmed: the files of others are not known yet, and of calls not
// even the arguments. Steps with a timeout are not prewarmed, because the timeout counts from the start of the Job, and neither are fan-out
// steps and their neighbours.

// decidePrewarm returns the steps to start early, and those whose early Jobs have to be deleted. hasResources reports whether the pod of a
// step has all requested resources.
func decidePrewarm(s *state, hasResources func(step string) bool, free int) (begin, withdraw []string) {
	hasFailed := s.decide().hasFailed
	for _, name := range s.graph.Steps() {
		canStart := !hasFailed && needsHaveResources(s, name, hasResources)
		switch s.phaseOf(name) {
		case prewarmed:
			if !canStart {
				withdraw = append(withdraw, name)
			}
		case pending:
			if canStart && len(begin) < free && !s.steps[name].isPrewarmForbidden && canPrewarm(s.graph, name) {
				begin = append(begin, name)
			}
		case running, unconfirmed, committed, failed:
		}
	}
	return begin, withdraw
}

// needsHaveResources reports whether no need of the step waits for resources of the cluster.
func needsHaveResources(s *state, name string, hasResources func(step string) bool) bool {
	for _, need := range s.graph.Step(name).Needs {
		if s.phaseOf(need) != committed && (s.phaseOf(need) != running || !hasResources(need)) {
			return false
		}
	}
	return true
}

// canPrewarm reports whether a step, if it runs at all, starts with the files of all its needs.
func canPrewarm(g workflow.Graph, name string) bool {
	step := g.Step(name)
	if step.When != workflow.OnSuccess || len(step.Needs) == 0 || step.Call != nil || step.Timeout > 0 || step.IsIndexed() {
		return false
	}
	for _, need := range step.Needs {
		if g.Step(need).AllowFailure || g.Step(need).When == workflow.OnFailure || g.Step(need).IsIndexed() {
			return false
		}
	}
	return true
}

// hasAllResources reports whether a pod has all requested resources.
func hasAllResources(pod *corev1.Pod) bool {
	if pod == nil || pod.DeletionTimestamp != nil || pod.Spec.NodeName == "" {
		return false
	}
	if pod.Status.Phase == corev1.PodRunning {
		return true
	}
	for i := range pod.Spec.Volumes {
		if isAttached(&pod.Spec.Volumes[i]) {
			return false
		}
	}
	return pod.Status.Phase == corev1.PodPending
}

// isAttached reports whether a volume may be one that only one node can use at a time. It is attached after the pod is bound.
func isAttached(volume *corev1.Volume) bool {
	return volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil || volume.CSI != nil
}

// hasAllResources reports whether the pod of a step's latest attempt has all requested resources.
func (l *loop) hasAllResources(step string) bool {
	for _, pod := range l.pods[step] {
		if l.isLatest(step, pod) && hasAllResources(pod) {
			return true
		}
	}
	return false
}

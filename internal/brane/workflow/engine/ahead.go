package engine

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Prewarming. The Job of a step may be created one step early, so that its pod is there, with image and agent, when the last of its needs is committed; its agent
// waits for that. Such a pod holds resources without using them, so it must never hold what one of its needs is still waiting for:
//
//   - it is created only if every need is committed, or runs in a pod that is bound to a node and so has all requested resources; a pod that mounts volumes of the
//     cluster has them only when it runs;
//   - a need must not be early itself, so a Job is at most one step early;
//   - if the pod of a need is gone or fails and has to be scheduled again, the early Job is deleted, and is not created early again.
//
// Only steps that run after success, and whose needs must succeed, are prewarmed: the files of others are not known yet, and of calls not even the arguments. Steps
// with a timeout are not prewarmed, because the timeout counts from the start of the Job, and neither are fan-out steps and their neighbours.

// ahead returns the steps to start early, and those whose early Jobs have to be deleted. bound reports whether the pod of a step has all requested resources.
func (p *progress) ahead(bound func(step string) bool, free int) (begin, withdraw []string) {
	_, hasFailed := decide(p.graph, p.known)
	for _, name := range p.graph.Steps() {
		switch p.known[name] {
		case early:
			if hasFailed || !p.needsHold(name, bound) {
				withdraw = append(withdraw, name)
			}
		case waiting:
			if !hasFailed && len(begin) < free && !p.notEarly[name] && mayBeEarly(p.graph, name) && p.needsHold(name, bound) {
				begin = append(begin, name)
			}
		case started, committed, failed:
		}
	}
	return begin, withdraw
}

// needsHold reports whether no need of the step waits for resources of the cluster.
func (p *progress) needsHold(name string, bound func(step string) bool) bool {
	for _, need := range p.graph.Step(name).Needs {
		if p.known[need] != committed && (p.known[need] != started || !bound(need)) {
			return false
		}
	}
	return true
}

// mayBeEarly reports whether a step, if it runs at all, starts with the files of all its needs.
func mayBeEarly(g workflow.Graph, name string) bool {
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

// promote turns early steps into started ones when their needs are committed.
func (p *progress) promote() {
	for name, phase := range p.known {
		if phase == early && p.needsCommitted(name) {
			p.known[name] = started
		}
	}
}

func (p *progress) needsCommitted(step string) bool {
	return !slices.ContainsFunc(p.graph.Step(step).Needs, func(need string) bool { return p.known[need] != committed })
}

// phaseOf returns the phase of a step whose Job exists.
func (p *progress) phaseOf(step string) phase {
	if mayBeEarly(p.graph, step) && !p.needsCommitted(step) {
		return early
	}
	return started
}

// takeBack records that the early Job of a step was deleted or has failed.
func (p *progress) takeBack(step string) {
	p.known[step] = waiting
	p.notEarly[step] = true
}

// holdsAll reports whether a pod has all requested resources.
func holdsAll(pod *corev1.Pod) bool {
	if pod == nil || pod.DeletionTimestamp != nil || pod.Spec.NodeName == "" {
		return false
	}
	if pod.Status.Phase == corev1.PodRunning {
		return true
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil || volume.CSI != nil {
			return false // a volume that only one node can use at a time may be attached after the pod is bound
		}
	}
	return pod.Status.Phase == corev1.PodPending
}

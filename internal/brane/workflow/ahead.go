package workflow

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Starting ahead. A step's Job may be made one step early, so that its pod is there, with image and agent, when the last of its needs commits; its agent waits
// for that. Such a pod holds resources and does nothing, so it must never hold what one of its needs still waits for:
//
//   - it is made only when every need is committed, or runs in a pod that is bound to a node and so has all that it asked for; a pod that mounts volumes of the
//     cluster has all of that only when it runs;
//   - a need must not itself be early, hence one step ahead and no more;
//   - when a need's pod is gone or fails and another one has to be found a place, the early Job is taken back, and is not made early again.
//
// It is for steps that run after success, and whose needs must succeed: of others nobody knows yet with which files they begin, and of calls not even with
// which arguments. Nor is it for steps with a timeout, which counts from a Job's
// beginning, nor before or after steps that are many.

// ahead names the steps to start early, and those whose early Jobs are to be taken back. bound says of a step whether its pod has all that it asked for.
func (p *progress) ahead(bound func(step string) bool, free int) (begin, withdraw []string) {
	_, hasFailed := decide(p.graph, p.known)
	for _, name := range p.graph.order {
		switch p.known[name] {
		case early:
			if hasFailed || !p.needsHold(name, bound) {
				withdraw = append(withdraw, name)
			}
		case waiting:
			if !hasFailed && len(begin) < free && !p.notEarly[name] && p.graph.mayBeEarly(name) && p.needsHold(name, bound) {
				begin = append(begin, name)
			}
		case started, committed, failed:
		}
	}
	return begin, withdraw
}

// needsHold says whether no need of the step waits for anything that the cluster has.
func (p *progress) needsHold(name string, bound func(step string) bool) bool {
	for _, need := range p.graph.steps[name].Needs {
		if p.known[need] != committed && (p.known[need] != started || !bound(need)) {
			return false
		}
	}
	return true
}

// mayBeEarly says whether a step begins, if at all, with the files of all that it needs.
func (g Graph) mayBeEarly(name string) bool {
	step := g.steps[name]
	if step.When != OnSuccess || len(step.Needs) == 0 || step.Call != nil || step.Timeout > 0 || step.many() {
		return false
	}
	for _, need := range step.Needs {
		if g.steps[need].AllowFailure || g.steps[need].When == OnFailure || g.steps[need].many() {
			return false
		}
	}
	return true
}

// promote makes an early step a started one, once its needs are committed.
func (p *progress) promote() {
	for name, phase := range p.known {
		if phase == early && p.needsCommitted(name) {
			p.known[name] = started
		}
	}
}

func (p *progress) needsCommitted(step string) bool {
	return !slices.ContainsFunc(p.graph.steps[step].Needs, func(need string) bool { return p.known[need] != committed })
}

// phaseOf is that of a step whose Job is there.
func (p *progress) phaseOf(step string) phase {
	if p.graph.mayBeEarly(step) && !p.needsCommitted(step) {
		return early
	}
	return started
}

// takeBack is that the early Job of a step is deleted, or came to nothing.
func (p *progress) takeBack(step string) {
	p.known[step] = waiting
	p.notEarly[step] = true
}

// holdsAll says whether a pod has all that it asked for.
func holdsAll(pod *corev1.Pod) bool {
	if pod == nil || pod.DeletionTimestamp != nil || pod.Spec.NodeName == "" {
		return false
	}
	if pod.Status.Phase == corev1.PodRunning {
		return true
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil || volume.CSI != nil {
			return false // one that only one node can have at a time may be attached later than the pod is bound
		}
	}
	return pod.Status.Phase == corev1.PodPending
}

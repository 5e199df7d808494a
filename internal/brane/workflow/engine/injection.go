package engine

import (
	"cmp"
	"context"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// How the agent gets into the pods is chosen once for each execution, unless it is configured. The pods of a resumed run may have the agent
// in either way.
//
// An image volume that was not configured has to be known to work, and must not expose more than an init container: a user with permission
// for `kubectl exec` can read the environment of a container, so the credential there must only give access to the files of this run.

// chooseAgentInjection returns InjectInitContainer or InjectImageVolume.
func chooseAgentInjection(ctx context.Context, spec *workflow.Spec, clients Clients, hasOwnUser bool, observe workflow.Observer) workflow.AgentInjection {
	if configured := spec.AgentInjection; configured != "" && configured != workflow.InjectAuto {
		return configured
	}
	objection := objectToImageVolume(clients.Certificates, hasOwnUser)
	if objection == "" {
		objection = findUnableNode(ctx, cmp.Or(clients.Nodes, clients.Kube))
	}
	return reportInjection(objection, observe)
}

// keepAgentInjection returns what another process has chosen, which has permission to list the nodes, unless the credential of the pods
// does not allow that any more.
func keepAgentInjection(
	spec *workflow.Spec, certificates files.Certificates, hasOwnUser bool, chosen workflow.AgentInjection, observe workflow.Observer,
) workflow.AgentInjection {
	if configured := spec.AgentInjection; configured != "" && configured != workflow.InjectAuto {
		return configured
	}
	objection := objectToImageVolume(certificates, hasOwnUser)
	if objection == "" && chosen != workflow.InjectImageVolume {
		objection = "it was decided when the run was handed over"
	}
	return reportInjection(objection, observe)
}

// objectToImageVolume returns why the credential for Redis must not be in the environment of a container; empty if it may be.
func objectToImageVolume(certificates files.Certificates, hasOwnUser bool) string {
	switch {
	case !hasOwnUser:
		return "its pods share a Redis user with others"
	case findLargeCertificate(certificates) > 0:
		return "a certificate for Redis is too large for a variable"
	}
	return ""
}

// reportInjection returns the image volume if there is no objection to it, else the init container, with an event that says why.
func reportInjection(objection string, observe workflow.Observer) workflow.AgentInjection {
	if objection == "" {
		return workflow.InjectImageVolume
	}
	observe.Report(workflow.Event{Kind: workflow.RunStages, Detail: objection})
	return workflow.InjectInitContainer
}

// findLargeCertificate returns the size of a certificate for Redis that is too large for a variable; 0 if there is none.
func findLargeCertificate(certificates files.Certificates) int {
	for _, content := range [][]byte{certificates.CA, certificates.Cert, certificates.Key} {
		if len(content) > workflow.MaxText-len(agent.EnvCert+"=") {
			return len(content)
		}
	}
	return 0
}

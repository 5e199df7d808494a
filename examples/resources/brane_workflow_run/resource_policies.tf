# Policies and queues. The namespace has a queue of Kueue and a service mesh, and a policy demands the label of a team. Whatever has no attribute is in
# pod_patch: this one lets commands listen on ports below 1024 without being root.
resource "brane_workflow_run" "policies" {
  name           = "policies"
  infrastructure = brane_infrastructure.runs.name
  labels         = { "example.org/team" = "imaging" }
  pod_patch = yamlencode({
    spec = { securityContext = { sysctls = [{ name = "net.ipv4.ip_unprivileged_port_start", value = "0" }] } }
  })

  defaults = {
    image       = var.tools_image
    labels      = { "kueue.x-k8s.io/queue-name" = "imaging" }
    annotations = { "sidecar.istio.io/inject" = "false" }
  }

  steps = {
    serve = { command = ["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"] }
  }
}

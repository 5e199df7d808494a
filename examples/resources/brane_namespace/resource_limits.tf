# A namespace with a resource quota, default limits, and a group of users with the permissions of the service account.
resource "brane_namespace" "imaging" {
  name = "brane-imaging"

  labels   = { "example.org/team" = "imaging" }
  subjects = [{ kind = "Group", name = "imaging" }]

  # Of all objects, for example because a policy of the cluster requires it.
  common_labels = { "example.org/cost-center" = "4711" }

  resource_quota = {
    pods              = "100"
    "requests.cpu"    = "16"
    "requests.memory" = "64Gi"
  }
  limit_range = {
    default         = { cpu = "1", memory = "1Gi" }
    default_request = { cpu = "100m", memory = "128Mi" }
    max             = { cpu = "8", memory = "32Gi" }
  }

  deletion_protection = true
}

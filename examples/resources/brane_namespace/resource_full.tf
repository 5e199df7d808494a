# A namespace for the workflow runs of a team, with a quota and restricted network access. Brane itself cannot run its Jobs here: they are privileged.
resource "brane_namespace" "imaging" {
  name = "brane-imaging"

  labels       = { "example.org/team" = "imaging" }
  pod_security = { enforce = "baseline", warn = "restricted" }

  # Members of the group get the permissions of the service account.
  subjects = [{ kind = "Group", name = "imaging" }]

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

  # All other traffic is denied. DNS is allowed unless dns = false.
  network_policy = {
    egress = {
      redis = { cidrs = ["198.51.100.10/32"], ports = [6379] }
    }
  }

  # The password is not stored in the state. Increase the version when it changes.
  registry_credentials = {
    "registry.example.org" = {
      username            = "puller"
      password_wo         = var.registry_password
      password_wo_version = 1
    }
  }

  deletion_protection = true
}

variable "registry_password" {
  type      = string
  ephemeral = true
}

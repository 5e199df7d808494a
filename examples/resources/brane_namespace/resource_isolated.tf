# A namespace for workflow runs whose pods can only connect to Redis and DNS. Brane's own Jobs are privileged, so they do not start here.
resource "brane_namespace" "isolated" {
  name         = "brane-isolated"
  access       = "run"
  pod_security = { enforce = "baseline", warn = "restricted" }

  # All other traffic is denied. DNS is allowed unless dns = false.
  network_policy = {
    egress = {
      redis = { cidrs = ["198.51.100.10/32"], ports = [6379] }
    }
  }
}

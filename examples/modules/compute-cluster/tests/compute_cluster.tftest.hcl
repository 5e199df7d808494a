# terraform test, without a cluster: the provider is replaced by a mock.
mock_provider "brane" {}

variables {
  namespace   = "imaging"
  redis_cidrs = ["198.51.100.20/32"]
}

run "without_brane" {
  command = plan

  assert {
    condition     = brane_namespace.this.pod_security.enforce == "baseline"
    error_message = "A namespace without a Brane instance admits privileged pods."
  }
  assert {
    condition     = keys(brane_namespace.this.network_policy.egress) == tolist(["redis"])
    error_message = "Pods can connect to more than Redis."
  }
  assert {
    condition     = length(brane_infrastructure.this) == 0
    error_message = "The namespace is registered without a Brane instance."
  }
}

run "with_brane" {
  variables {
    brane = { name = "imaging", registry = "198.51.100.10:50050", callback_to = "http://198.51.100.10:50052", callback_cidrs = ["198.51.100.10/32"] }
  }

  assert {
    condition     = output.infrastructure == "imaging"
    error_message = "The namespace is not registered."
  }
  assert {
    condition     = brane_namespace.this.pod_security.enforce == "privileged"
    error_message = "The namespace rejects Brane's Jobs."
  }
}

terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

variable "token" {
  description = "Token of a service account in the namespace brane."
  type        = string
  sensitive   = true
}

output "secrets_yml" {
  value = provider::brane::secrets_yml({
    compute = provider::brane::kubeconfig("203.0.113.7:6443", "", var.token, "brane")
  })
  sensitive = true
}

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

output "kubeconfig" {
  value     = provider::brane::kubeconfig("203.0.113.7:6443", file("${path.module}/ca.crt"), var.token, "brane")
  sensitive = true
}

terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

variable "ca" {
  description = "CA certificate of the API server, PEM-encoded."
  type        = string
}

variable "token" {
  description = "Token of a service account in the namespace brane."
  type        = string
  sensitive   = true
}

output "kubeconfig" {
  value     = provider::brane::kubeconfig("203.0.113.7:6443", var.ca, var.token, "brane")
  sensitive = true
}

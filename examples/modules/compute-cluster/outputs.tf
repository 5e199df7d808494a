output "namespace" {
  description = "Name of the namespace, for runs."
  value       = brane_namespace.this.name
}

output "infrastructure" {
  description = "Name of the location in the Brane instance. Null if there is none."
  value       = one(brane_infrastructure.this[*].name)
}

output "expires_at" {
  description = "When the registered token expires. Null if there is none."
  value       = one(brane_infrastructure.this[*].expires_at)
}

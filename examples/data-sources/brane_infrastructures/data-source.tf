data "brane_infrastructures" "all" {}

# The locations whose credentials never expire.
output "long_lived" {
  value = [
    for name, location in data.brane_infrastructures.all.infrastructures : name
    if location.kind == "kube" && location.expires_at == null
  ]
}

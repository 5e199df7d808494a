# An existing namespace, with a service account that has custom permissions. Destroying the resource keeps the Namespace.
resource "brane_namespace" "shared" {
  name            = "shared"
  adopt           = true
  deletion_policy = "retain"

  rules = [
    { api_groups = ["batch"], resources = ["jobs"], verbs = ["create"] },
    { api_groups = [""], resources = ["pods"], verbs = ["get", "list"] },
  ]
}

# An existing namespace. Instead of an access level, rules lists the permissions of the service account. Destroying the resource keeps the namespace.
resource "brane_namespace" "shared" {
  name            = "shared"
  adopt           = true
  deletion_policy = "retain"

  rules = [
    { api_groups = ["batch"], resources = ["jobs"], verbs = ["create"] },
    { api_groups = [""], resources = ["pods"], verbs = ["get", "list"] },
  ]
}

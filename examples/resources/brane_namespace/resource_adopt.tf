# A namespace that exists, with an account that may do less than the levels of access give. Destroying the resource leaves the namespace.
resource "brane_namespace" "shared" {
  name            = "shared"
  adopt           = true
  deletion_policy = "retain"

  rules = [
    { api_groups = ["batch"], resources = ["jobs"], verbs = ["create"] },
    { api_groups = [""], resources = ["pods"], verbs = ["get", "list"] },
  ]
}

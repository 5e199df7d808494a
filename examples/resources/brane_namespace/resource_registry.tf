# Credentials of a private registry, in the Secret brane-registries. Pods use it as an image pull secret if they run as the service account of
# the namespace, as the service account default, or name the Secret in image_pull_secrets. The password is not stored in the state; increment
# the version when it changes.
variable "registry_password" {
  type      = string
  ephemeral = true
}

resource "brane_namespace" "private" {
  name = "brane-private"

  registry_credentials = {
    "registry.example.org" = {
      username            = "puller"
      password_wo         = var.registry_password
      password_wo_version = 1
    }
  }
}

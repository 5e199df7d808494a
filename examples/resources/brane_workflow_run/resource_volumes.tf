# Volumes: a PersistentVolumeClaim, a volume of a CSI driver, and an emptyDir. The root file system is read-only.
resource "brane_workflow_run" "volumes" {
  name      = "volumes"
  namespace = brane_namespace.runs.name

  steps = {
    cache = {
      image            = var.tools_image
      command          = ["sh", "-c", "date > /cache/last"]
      security_context = { run_as_user = 1000, fs_group = 1000, read_only_root_filesystem = true }
      volumes = {
        tmp    = { mount_path = "/tmp", empty_dir = { size_limit = "1Gi" } }
        cache  = { mount_path = "/cache", persistent_volume_claim = "models" }
        shared = { mount_path = "/jfs", read_only = true, csi = { driver = "csi.juicefs.com", volume_attributes = { mountOptions = "ro" }, node_publish_secret = "juicefs" } }
      }
    }
  }
}

# A step that is many, with what its containers need and where they run, a step that may fail, and one that tidies up whatever happens.
resource "brane_workflow_run" "training" {
  name               = "training"
  infrastructure     = brane_infrastructure.runs.name
  parallelism        = 4
  scheduling_timeout = "15m" # an autoscaler brings the nodes with GPUs

  inputs = { "corpus/alice.txt" = { content = "Down the rabbit hole" } }

  defaults = {
    image            = var.tools_image
    retries          = 2
    timeout          = "2h"
    resources        = { requests = { cpu = "100m" }, limits = { memory = "2Gi" } }
    security_context = { run_as_user = 1000, read_only_root_filesystem = true }
    volumes          = { tmp = { mount_path = "/tmp", empty_dir = { size_limit = "1Gi" } } }
  }

  steps = {
    train = {
      command = ["sh", "-c", "cp /data/corpus/alice.txt /cache/tmp.$BRANE_INDEX && echo rate $BRANE_ITEM > /data/model.$BRANE_INDEX"]
      items   = ["0.1", "0.01", "0.001"]
      reads   = ["corpus/**"]
      writes  = ["model.*"]

      resources     = { requests = { memory = "64Mi" }, limits = { memory = "16Gi", "nvidia.com/gpu" = 1 } }
      node_selector = { "accelerator" = "a100" }
      tolerations   = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]

      volumes = {
        cache  = { mount_path = "/cache", persistent_volume_claim = "models" }
        shared = { mount_path = "/jfs", read_only = true, csi = { driver = "csi.juicefs.com", volume_attributes = { mountOptions = "ro" }, node_publish_secret = "juicefs" } }
      }
    }
    upload = {
      command         = ["sh", "-c", "test -n \"$TOKEN\" && cat /data/model.* > /data/uploaded"]
      needs           = ["train"]
      allow_failure   = true
      env_from_secret = { TOKEN = { secret = "hub", key = "token" } }
    }
    tidy = {
      command = ["sh", "-c", "rm -f /cache/tmp.*"]
      needs   = ["train"]
      when    = "always"
      volumes = { cache = { mount_path = "/cache", persistent_volume_claim = "models" } }
    }
  }

  outputs = { uploaded = { path = "uploaded" } }
}

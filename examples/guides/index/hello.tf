terraform {
  required_providers {
    brane = {
      source  = "braneframework/brane"
      version = ">= 0.0.1" # 0.0.1 is a build from source; pin the version that you use
    }
  }
}

provider "brane" {
  kubernetes = {
    config_path    = "~/.kube/config"
    config_context = "compute"
  }
  redis = {
    url = "redis://redis.example.org"
  }
}

resource "brane_namespace" "demo" {
  name = "brane-demo"
}

resource "brane_workflow_run" "hello" {
  name      = "hello"
  namespace = brane_namespace.demo.name

  steps = {
    greet = {
      image   = "busybox:1.37"
      command = ["sh", "-c", "echo Hello > /data/greeting"]
    }
  }
  outputs = { greeting = { path = "greeting" } }
}

output "greeting" {
  value = brane_workflow_run.hello.outputs.greeting.content
}

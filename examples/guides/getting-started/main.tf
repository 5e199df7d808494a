resource "brane_namespace" "demo" {
  name = "brane-demo"
}

resource "brane_workflow_run" "hello" {
  name      = "hello"
  namespace = brane_namespace.demo.name

  inputs = {
    "names" = { content = "Ada\nAlan\n" }
  }

  steps = {
    greet = {
      image   = "busybox:1.37"
      command = ["sh", "-c", "sed 's/^/Hello, /' /data/names > /data/greetings"]
    }
  }

  outputs = {
    greetings = { path = "greetings" }
  }
}

output "greetings" {
  value = brane_workflow_run.hello.outputs.greetings.content
}

resource "brane_namespace" "demo" {
  name = "brane-demo"
}

resource "brane_infrastructure" "demo" {
  name        = "demo"
  namespace   = brane_namespace.demo.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
}

resource "brane_workflow_run" "hello" {
  name           = "hello"
  infrastructure = brane_infrastructure.demo.name

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

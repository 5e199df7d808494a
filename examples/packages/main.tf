# A run that calls functions of two Brane packages and passes the result of one to the other. The packages are in the registry of the infrastructure,
# to which `brane push` has pushed them. With their files, text.container.yml and statistics.container.yml, the calls are checked during the plan.
variable "registry" {
  description = "host:port of the Brane instance's registry."
  type        = string
  default     = "198.51.100.10:50050"
}

resource "brane_namespace" "packages" {
  name = "brane-packages"
}

resource "brane_infrastructure" "packages" {
  name        = "packages"
  namespace   = brane_namespace.packages.name
  registry    = var.registry
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.packages.service_account.name }
}

resource "brane_workflow_run" "words" {
  name           = "words"
  infrastructure = brane_infrastructure.packages.name

  inputs = {
    "poem.txt" = { content = "Tyger Tyger, burning bright,\nIn the forests of the night" }
  }

  steps = {
    lengths = {
      package      = "text:1.0.0"
      package_file = "${path.module}/text.container.yml"
      function     = "lengths"
      arguments    = { text = { file = "poem.txt" } }
    }
    describe = {
      package      = "statistics:1.0.0"
      package_file = "${path.module}/statistics.container.yml"
      function     = "describe"
      arguments    = { numbers = { step = "lengths" } } # also waits for it
    }
    chart = {
      package      = "statistics:1.0.0"
      package_file = "${path.module}/statistics.container.yml"
      function     = "chart"
      arguments = {
        numbers = { step = "lengths" }
        title   = { string = "Words by their lengths" }
      }
    }
  }

  outputs = {
    chart = { path = "chart.txt" } # the file that the function chart returns
  }
}

output "summary" {
  description = "The result of describe, a class with count, largest and mean."
  value       = jsondecode(brane_workflow_run.words.results.describe.return_value)
}

output "chart" {
  value = brane_workflow_run.words.outputs.chart.content
}

resource "brane_workflow_run" "wordcount" {
  name      = "wordcount"
  namespace = brane_namespace.demo.name

  inputs = {
    "poem.txt" = { source = "${path.module}/poem.txt" }
  }

  defaults = {
    image     = "busybox:1.37"
    timeout   = "10m"
    resources = { requests = { cpu = "50m", memory = "32Mi" }, limits = { memory = "128Mi" } }
  }

  steps = {
    words = { command = ["sh", "-c", "wc -w < /data/poem.txt > /data/words"] }
    lines = { command = ["sh", "-c", "wc -l < /data/poem.txt > /data/lines"] }
    report = {
      command = ["sh", "-c", "echo $(cat /data/words) words in $(cat /data/lines) lines | tee /data/report"]
      needs   = ["words", "lines"]
    }
  }

  outputs = {
    report = { path = "report" }
  }

  report_path = "${path.module}/wordcount.html"
}

output "report" {
  value = trimspace(brane_workflow_run.wordcount.outputs.report.content)
}

output "wordcount_id" {
  value = brane_workflow_run.wordcount.id
}

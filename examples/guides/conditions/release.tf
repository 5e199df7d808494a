resource "brane_workflow_run" "release" {
  name      = "release"
  namespace = brane_namespace.demo.name
  defaults  = { image = "busybox:1.37" }

  steps = {
    build = {
      command = ["sh", "-c", "echo version 1 > /data/release"]
    }
    announce = {
      command       = ["sh", "-c", "echo the mail server does not answer; exit 1"]
      needs         = ["build"]
      allow_failure = true # the run can succeed without it
    }
    apologize = {
      command = ["sh", "-c", "echo sent > /data/apology"]
      needs   = ["announce"]
      when    = "failure" # only if announce has failed
    }
    clean = {
      command = ["sh", "-c", "echo removed the temporary server"]
      needs   = ["build", "announce", "apologize"]
      when    = "always" # whatever has happened before
    }
  }

  outputs = {
    release = { path = "release" }
  }
}

output "release_steps" {
  value = { for name, step in brane_workflow_run.release.results : name => step.status }
}

resource "brane_file_set" "corpus" {
  name = "corpus"
  files = {
    "en/alice.txt" = { content = "Curiouser and curiouser!\n" }
    "en/queen.txt" = { content = "Off with their heads!\n" }
  }
}

resource "brane_workflow_run" "index" {
  name      = "index"
  namespace = brane_namespace.demo.name
  defaults  = { image = "busybox:1.37" }

  inputs = {
    "corpus"    = { file_set = brane_file_set.corpus.reference } # a directory
    "stopwords" = { content = "and\nwith\n" }                    # a file
  }

  steps = {
    split = {
      command = ["sh", "-c", "cat /data/corpus/en/*.txt | tr -cs 'A-Za-z' '\\n' | grep -vxf /data/stopwords | sort -u > /data/index.txt"]
      reads   = ["corpus/en", "stopwords"]
      writes  = ["index.txt"]
    }
  }

  outputs = {
    index = { path = "index.txt" }
  }
}

data "brane_file" "index" {
  run            = brane_workflow_run.index.id
  outputs_digest = brane_workflow_run.index.outputs_digest
  path           = "index.txt"
  save_to        = "${path.module}/index.txt"
}

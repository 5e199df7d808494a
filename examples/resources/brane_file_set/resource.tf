# A set of files that is uploaded once and used by many runs.
resource "brane_file_set" "corpus" {
  name = "corpus"
  files = {
    "alice.txt"      = { content = "Alice was beginning to get very tired of sitting by her sister on the bank.\n" }
    "more/queen.txt" = { content = "Off with their heads!\n" }
  }
}

data "brane_file" "queen" {
  file_set = brane_file_set.corpus.reference
  path     = "more/queen.txt"
}

output "queen" {
  value = data.brane_file.queen.content
}

# As an input of a run, below /data/corpus in its steps: inputs = { corpus = { file_set = brane_file_set.corpus.reference } }

# A set of files that any number of runs can use.
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

# In a run: inputs = { corpus = { file_set = brane_file_set.corpus.reference } }, which the steps find below /data/corpus.

import {
  to = brane_file_set.corpus
  identity = {
    name = "corpus"
  }
}

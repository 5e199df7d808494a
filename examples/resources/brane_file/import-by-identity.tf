import {
  to = brane_file.corpus
  identity = {
    name = "corpus"
  }
}

terraform import brane_file_set.corpus corpus
# with the directory that its files come from: terraform import brane_file_set.corpus corpus:./corpus

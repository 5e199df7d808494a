terraform import brane_file_set.corpus corpus
# with the directory of its files: terraform import brane_file_set.corpus corpus:./corpus

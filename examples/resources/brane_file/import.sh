terraform import brane_file.corpus corpus
# with the folder that its files come from: terraform import brane_file.corpus corpus:./corpus

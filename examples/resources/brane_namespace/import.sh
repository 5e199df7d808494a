terraform import brane_namespace.compute brane
# in one of the clusters of the provider block: terraform import brane_namespace.compute berlin/brane

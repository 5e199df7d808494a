terraform import brane_infrastructure.compute compute
# in one of the clusters of the provider block: terraform import brane_infrastructure.compute berlin/compute

terraform import brane_namespace.compute brane

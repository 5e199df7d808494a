terraform import brane_workflow_run.greeting brane-runs/greeting-3f9a1c0227d5e8b4
# in one of the clusters of the provider block: terraform import brane_workflow_run.greeting berlin/brane-runs/greeting-3f9a1c0227d5e8b4
# at the place where it was applied, for example on an infrastructure: terraform import brane_workflow_run.greeting greeting-3f9a1c0227d5e8b4

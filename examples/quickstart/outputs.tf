output "words" {
  description = "Number of words in the book."
  value       = tonumber(trimspace(brane_workflow_run.wordcount.outputs.words.content))
}

output "run" {
  description = "ID of the run. Its Jobs have the label brane/run=<run>, its Redis keys start with brane:<run>:"
  value       = brane_workflow_run.wordcount.id
}

output "namespace" {
  description = "Namespace of the Jobs."
  value       = brane_namespace.compute.name
}

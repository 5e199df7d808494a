output "words" {
  description = "How many words the book has."
  value       = tonumber(trimspace(brane_workflow_run.wordcount.outputs.words.content))
}

output "run" {
  description = "The run: its Jobs are labelled brane/run=<run>, its Redis keys begin with brane:<run>:"
  value       = brane_workflow_run.wordcount.id
}

output "namespace" {
  description = "The namespace in which the Jobs are."
  value       = brane_namespace.compute.name
}

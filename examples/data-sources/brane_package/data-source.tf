# From the file that the package's author wrote. With `image` instead, from its image in a registry.
data "brane_package" "statistics" {
  file = "${path.module}/container.yml"
}

output "functions" {
  value = { for name, function in data.brane_package.statistics.functions : name => function.returns }
}

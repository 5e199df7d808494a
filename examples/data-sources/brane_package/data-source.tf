# Reads the file of the package. With `image` instead of `file`, it reads the image in a registry.
data "brane_package" "statistics" {
  file = "${path.module}/container.yml"
}

output "functions" {
  value = { for name, function in data.brane_package.statistics.functions : name => function.returns }
}

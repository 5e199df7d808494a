data "brane_infrastructure" "compute" {
  name = "compute"
}

output "expires" {
  value = data.brane_infrastructure.compute.expires_at
}

list "brane_infrastructure" "all" {
  provider = brane
}

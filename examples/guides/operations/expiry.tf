data "brane_infrastructures" "all" {}

check "tokens" {
  assert {
    condition = alltrue([
      for location in values(data.brane_infrastructures.all.infrastructures) :
      timecmp(coalesce(location.expires_at, "9999-01-01T00:00:00Z"), timeadd(plantimestamp(), "336h")) > 0
    ])
    error_message = "A registered token expires within 14 days."
  }
}

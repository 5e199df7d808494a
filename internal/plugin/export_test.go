package plugin

// Forgetting is for tests that call the provider without a CLI.
var Forgetting = forgetting

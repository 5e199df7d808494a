//go:build race

package engine

// isRace reports whether the race detector is enabled, which makes the simulations about ten times slower.
const isRace = true

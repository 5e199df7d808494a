//go:build !race

package engine

const isRace = false

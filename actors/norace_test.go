//go:build !race

package actors

const retirementAcquires = 1_000_000

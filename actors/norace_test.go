//go:build !race

package actors

const retirementAcquires = 300_000

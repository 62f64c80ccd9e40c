//go:build race

package actors

// The race detector makes each acquire 20 times slower; what it looks for
// shows long before so many of them.
const retirementAcquires = 100_000

// Package machine is one key of one process as a pure state machine.
package machine

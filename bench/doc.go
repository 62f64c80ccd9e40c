// Package bench measures lock strategies on the same workload, side by side.
//
// So far it is Go benchmarks: run them with make bench. Compare figures of one
// run only; machines are shared and noisy.
package bench

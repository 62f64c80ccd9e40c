// Package servers starts real Redis, memcached and etcd servers for benchmarks and, by
// package servertest, for tests, each on a free port of 127.0.0.1, and ends them by process id.
//
// A server is handed out once it has answered as the very process that was
// started, never after a pause. Nothing it holds outlives it: persistence is
// off, where it can be, and its directory is removed. Should the test process die without its
// cleanups, the server dies with it (on Linux; elsewhere it is left behind).
//
// Redis comes alone, with TLS, as a Cluster and with Sentinel. The two last are
// handed out when all of their servers agree on what they are, and everything
// that is done to them later is waited for by asking the servers, within a
// bound; the error of such a wait has the end of every server's output.
//
// Where a binary is missing the test fails and says how to install it: a test of
// a backend that is skipped proves nothing.
package servers

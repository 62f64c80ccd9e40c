package servers

import "testing"

// started is as in package servertest, which these tests can't import.
func started[S interface{ Close() }](t *testing.T, s S, err error) S {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// begun starts a server for one test.
func begun(t *testing.T, start func(...string) (*Server, error), args ...string) *Server {
	t.Helper()
	s, err := start(args...)
	return started(t, s, err)
}

// begunWith starts several.
func begunWith[C any, S interface{ Close() }](t *testing.T, start func(C) (S, error), config C) S {
	t.Helper()
	s, err := start(config)
	return started(t, s, err)
}

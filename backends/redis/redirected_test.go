package redis

import "testing"

// TestARedirectionIsCompleted: in a redirection an IPv6 address has no brackets, and so
// it may begin as one without a host does.
func TestARedirectionIsCompleted(t *testing.T) {
	for said, want := range map[string]string{
		"MOVED 3999 :6381":           "MOVED 3999 [::2]:6381",
		"MOVED 3999 ?:6381":          "MOVED 3999 [::2]:6381",
		"ASK 3999 ?:6381":            "ASK 3999 [::2]:6381",
		"MOVED 3999 127.0.0.1:6381":  "MOVED 3999 127.0.0.1:6381",
		"MOVED 3999 ::1:6381":        "MOVED 3999 ::1:6381",
		"MOVED 3999 2001:db8::1:638": "MOVED 3999 2001:db8::1:638",
		"MOVED to somewhere":         "MOVED to somewhere",
		"ERR no such thing":          "ERR no such thing",
	} {
		if got := (endpoint{"::2"}).complete(redirected(said)).Error(); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

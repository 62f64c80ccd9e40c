package embedded_test

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// TestALeaseThatIsGivenBackMeanwhile: a session that gives its lease back on the wake of
// the very attempt that wants it need not be asked, and the attempt has the key.
func TestALeaseThatIsGivenBackMeanwhile(t *testing.T) {
	a, b := newSession(t, t.Name()), newSession(t, t.Name())
	held := a.request("k", time.Minute, true)
	a.want(t, backends.Granted, held)
	if err := a.Subscribe(a.id, func(w backends.Wake) {
		if err := a.Release(t.Context(), held.Attempt); w.Kind != backends.Wanted || err != nil {
			t.Errorf("wake %d, %v", w.Kind, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	a.Reclaims(func(at backends.Attempt) bool {
		t.Errorf("asked for %v, which it had given back", at.Token)
		return false
	})
	b.want(t, backends.Granted, b.request("k", time.Minute, true))
}

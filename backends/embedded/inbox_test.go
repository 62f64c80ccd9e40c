package embedded

import (
	"testing"

	"github.com/turnstile-go/turnstile/backends"
)

// A script may have found the inbox just before its session closed.
func TestNoWakeComesAfterClose(t *testing.T) {
	var boxes inboxes
	session, wakes := backends.NewSession(), 0
	box := boxes.add(session, func(backends.Wake) { wakes++ })
	box.deliver(backends.Wake{Key: "k"})
	boxes.remove(session, box)
	box.deliver(backends.Wake{Key: "k"})
	if wakes != 1 || boxes.listeners(inboxPrefix+string(session)) != 0 {
		t.Errorf("%d wakes, want the one before the close", wakes)
	}
}

func TestALaterSubscriptionOutlivesAnEarlierOne(t *testing.T) {
	var boxes inboxes
	session := backends.NewSession()
	old := boxes.add(session, func(backends.Wake) {})
	boxes.add(session, func(backends.Wake) {})
	boxes.remove(session, old)
	if boxes.listeners(inboxPrefix+string(session)) != 1 {
		t.Error("closing the old inbox removed the new one")
	}
}

package embedded_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest"
	"github.com/turnstile-go/turnstile/backends/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	// One more user than the suite's, so that the store outlives its sessions.
	keep := embedded.Open(t.Name())
	t.Cleanup(func() {
		if err := keep.Close(); err != nil {
			t.Error(err)
		}
	})
	backendtest.Run(t, func(*testing.T) backends.Backend { return embedded.Open(t.Name()) })
}

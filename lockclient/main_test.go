package lockclient

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/internal/testmain"
)

func TestMain(m *testing.M) {
	testmain.Prepare(16)
	logging.Disable() // the driver prints each failed dial, and tests kill servers
	goleak.VerifyTestMain(m)
}

package lockclient

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // the driver prints each failed dial, and tests kill servers
	goleak.VerifyTestMain(m)
}

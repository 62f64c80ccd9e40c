package redis

import (
	"context"
	"fmt"
)

// A driverLog is the driver's logger, of which there is one in a process. Lines
// about a connection of ours go to our Logger, at debug: the ones that matter come
// back as errors too. Other lines are dropped.
type driverLog struct{}

// ofDialer is the key under which a ctx names the dialer.
type ofDialer struct{}

// Printf is the driver's.
func (driverLog) Printf(ctx context.Context, format string, v ...any) {
	d, ok := ctx.Value(ofDialer{}).(*dialer)
	if !ok {
		return
	}
	if b := d.backend.Load(); b != nil {
		b.log.Debug("go-redis: " + fmt.Sprintf(format, v...))
	}
}

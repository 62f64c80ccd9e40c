package redis

import (
	"context"
	"fmt"
)

// A driverLog takes what the driver logs, which has one logger for all of a process.
// Lines that come of a connection of ours go to our Logger, at debug: what matters of
// them comes back as errors. Others are dropped.
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

package door

import (
	"context"
	"time"
)

// knockPause is the first pause of Knock. Each is twice the one before, up to mostPause.
const knockPause = 50 * time.Millisecond

// Knock asks a server whether it lets us in, for as long as waiting may help: one that
// is not up yet, or refuses for now, is asked again until ctx ends. It returns nil, an
// error that waiting can't mend, as refused reports, or else the error that says most:
// the newest that passing reports to be a server's answer, if there is one.
func Knock(ctx context.Context, ask func(context.Context) error, refused, passing func(error) bool) error {
	var last error
	for pause := knockPause; ; pause = min(2*pause, mostPause) {
		err := ask(ctx)
		if err == nil || refused(err) {
			return err
		}
		// A server's answer says more than our timeout does.
		if last == nil || passing(err) || ctx.Err() == nil && !passing(last) {
			last = err
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return last
		}
	}
}

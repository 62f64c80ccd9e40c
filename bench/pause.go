package bench

import (
	"runtime"
	"time"
)

// spinBelow is where a pause is spent working and not asleep.
//
// time.Sleep in a process that is otherwise idle rounds up to whole milliseconds
// (measured on Linux: 1.1 ms for 20 µs), as the runtime waits in epoll by them. A
// tick wakes it up ten times as often, which makes sleeps good to 0.1 ms; what is
// shorter than that spins, and takes a CPU as a section that computes would. It
// yields as it spins: on two CPUs, 64 who don't would keep out the holder.
const spinBelow = 100 * time.Microsecond

// pause takes d, on average.
func pause(c clock, d time.Duration) {
	switch {
	case d <= 0:
	case d < spinBelow:
		spin(c, c.now()+int64(d))
	default:
		time.Sleep(d - tickEvery/2) // the tick is half its period late, on average
	}
}

func spin(c clock, until int64) {
	for c.now() < until {
		runtime.Gosched()
	}
}

// tickEvery is the tick's period: it costs a few percent of one CPU, in those
// runs that need it.
const tickEvery = 100 * time.Microsecond

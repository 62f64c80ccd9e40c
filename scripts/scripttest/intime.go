package scripttest

import "testing"

// The cases depend on windows of time. The shortest is the 75 ms for which a lock is
// kept for a poller; leases last longer. On a busy machine the next step of a case
// may come after its window. The engine's own clock tells such a case from one that
// found a defect, and the case starts anew.
const (
	shortest = 75_000 // µs
	tries    = 20
)

// outlasted is the panic that ends a case which failed late.
type outlasted struct{}

// inTime runs a case on a new lock. A case that fails more than the shortest window
// after its start is run again, up to tries times.
func inTime(t *testing.T, open func() *lock, run func(*lock)) (l *lock) {
	t.Helper()
	for try := range tries {
		l = open()
		l.again = try < tries-1
		if completed(l, run) {
			break
		}
	}
	return l
}

// completed reports whether the case came to its end.
func completed(l *lock, run func(*lock)) (whole bool) {
	l.Helper()
	defer func() {
		if !whole {
			if p := recover(); p != nil && p != any(outlasted{}) {
				panic(p)
			}
		}
	}()
	run(l)
	l.checkTTLs()
	return true
}

// Fatalf fails the case, or has it start anew.
func (l *lock) Fatalf(format string, args ...any) {
	l.Helper()
	if passed := l.now() - l.began; l.again && passed > shortest {
		l.Logf("it starts anew, %d ms after its start: "+format, append([]any{passed / 1000}, args...)...)
		panic(outlasted{})
	}
	l.T.Fatalf(format, args...)
}

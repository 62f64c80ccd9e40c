package scripttest

var renewCases = []testCase{
	{"a caller that knows the last base sets the lease", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 60_000, 1, mint(&base), 60_000, 0)
		l.renew(a, 5000, base, 1, mint(&base), 5000, 0)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.renew(a, 90_000, base, 1, mint(&base), 90_000, 0)
		l.sees(ms(89_000, 90_000), "PTTL", l.keys[itself])
		l.column("last", base)
	}, oddKeys},
	{"a late copy never shortens", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		old := base
		l.renew(a, 2000, old, 1, mint(&base), 2000, 0)
		l.renew(a, 60_000, base, 1, mint(&base), 60_000, 0)
		l.renew(a, 2000, old, 1, mint(&base), ms(59_000, 60_000), 0)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[itself])
		l.renew(a, 90_000, old, 1, mint(&base), 90_000, 0)
	}, nil},
	{"a later lease of the same attempt is not the caller's", func(l *lock) {
		a, b, base, later := attempt(1, 1), attempt(2, 1), "", ""
		for _, others := range []func(){
			func() {},
			func() { l.heldBy(b, "host:1", 1); l.cancel(b, 0) }, // something to remember: the full way
		} {
			l.try(a, 60_000, 1, mint(&base), 60_000, 0)
			l.do("DEL", l.keys[itself]) // by hand, or a failover
			l.try(b, 5000, 1, fresh(), 5000, 0)
			l.drop(b, 1)
			l.try(a, 5000, 1, mint(&later), 5000, 0) // a late copy
			others()
			l.renew(a, 60_000, base, 0)
			l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
			l.renew(a, 6000, later, 1, fresh(), 6000, 0)
			l.drop(a, 1)
		}
	}, nil},
	{"a caller whose companion is gone can only lengthen", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 60_000, 1, mint(&base), 60_000, 0)
		l.do("DEL", l.keys[companion])
		l.renew(a, 2000, base, 1, mint(&base), ms(59_000, 60_000), 0)
		l.sees(ms(118_000, 120_000), "PTTL", l.keys[companion])
	}, nil},
	{"another's lease is not renewed", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.renew(b, 60_000, base, 0)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.column("last", base)
		l.holder(&a)
	}, nil},
	{"a lease that is gone is not renewed", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.renew(a, 5000, "1", 0)
		l.sees(0, "EXISTS", l.keys[companion])
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.release(a, 1, 0)
		l.renew(a, 5000, base, 0)
		l.holder(nil)
	}, nil},
	{"a renewal tells that others wait, and that they no longer do", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.wait(b, 5000, 0, "host:1", moments, ms(0, 5000), 1, 0)
		l.renew(a, 5000, base, 1, mint(&base), 5000, 1)
		l.cancel(b, 0)
		l.renew(a, 5000, base, 1, mint(&base), 5000, 0)
		l.sees(0, "EXISTS", l.keys[queue])
	}, nil},
}

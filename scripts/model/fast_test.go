package model

// An item of a fast call is of one key: a take, or with ttl 0 a free.
type item struct {
	store *store
	token token
	ttl   int64
}

// A reply carries the number of the attempt that it answers.
type reply struct {
	attempt int
	outcome outcome
	base    int64
	ttl     int64
}

type outcome int

const (
	inFull outcome = iota // ask in full; nothing was done
	granted
	held
	settledBefore
	freed
	notHeld
	renewed
	isRevoked
	refused
)

// fast takes and frees. Each item is judged by one MGET, before the first write.
func fast(items ...item) []reply {
	replies, may := make([]reply, len(items)), make([]bool, len(items))
	for i, it := range items {
		it.store.expire()
		replies[i].attempt = it.token.attempt
		may[i] = it.store.judges(it)
	}
	wrote := false
	write := func(frees bool) {
		for i, it := range items {
			if !may[i] || frees != (it.ttl == 0) {
				continue
			}
			if frees {
				replies[i] = it.store.fastFree(it.token)
			} else if wrote || !it.store.memoryFull { // Redis looks at its memory until a script has written
				replies[i] = it.store.fastTake(it.token, it.ttl)
			}
			wrote = wrote || replies[i].outcome != inFull
		}
	}
	first := !items[0].store.has(takesFirst)
	write(first)
	write(!first)
	for _, it := range items {
		it.store.watch.check(it.store)
	}
	return replies
}

func (s *store) judges(it item) bool {
	if it.ttl == 0 {
		return s.lock.kind == ours && s.lock.token == it.token && s.mayFree()
	}
	return (s.lock.kind == free || s.lock.kind == hash) && s.mayTake() // MGET says nil for a hash
}

func (s *store) fastFree(t token) reply {
	s.watch.ends(s, t)
	s.watch.fastFreed(s)
	s.lock = value{}
	return reply{attempt: t.attempt, outcome: freed}
}

func (s *store) mayTake() bool { return s.companion == nil || s.isQuiet() }

func (s *store) mayFree() bool {
	if s.companion == nil {
		return !s.has(freeNeedsName)
	}
	return s.isQuiet()
}

func (s *store) isQuiet() bool {
	if s.companion.first < 0 {
		return false // given, and not confirmed
	}
	return (s.companion.quiet || !s.has(stateIsRead)) && (s.companion.last < s.now || !s.has(lastNotAhead))
}

func (s *store) fastTake(t token, ttl int64) reply {
	r := reply{attempt: t.attempt}
	if s.lock.kind != free && s.has(nxGrants) {
		return r // SET NX found something
	}
	if s.foreign {
		if s.has(companionByNX) {
			return r // SET NX found something under the companion's name: the lock was deleted again
		}
		s.watch.fail(s, "another's hash under the companion's name is overwritten")
		s.foreign = false
	}
	if s.memoryFull {
		s.watch.fail(s, "a take makes keys though the memory is full")
	}
	r.outcome, r.base, r.ttl = granted, s.mint(), ttl
	s.setLock(t, ttl, byFast)
	s.companion = &companion{quiet: true, last: r.base, first: r.base, lease: t, end: s.now + ttl + keep}
	s.watch.minted(s, r.base)
	return r
}

// setLock puts a new lease under the lock.
func (s *store) setLock(t token, ttl int64, by way) {
	s.watch.grants(s, t, by)
	s.lock = value{kind: ours, token: t, end: s.now + ttl}
}

package kinds

// A pylock's commands interleave with everything else. Its clock is real time.
//
//	SETNX key now+expires+1 → EXPIRE; else GET; if that is past, GETSET, won if the old value came back → EXPIRE
type pylock struct {
	p       *play
	expires int64
	next    func(*pylock) // nil: idle
	seen    int           // the value that GET returned
	mine    value         // the newest that it set
	won     bool
	fair    bool // nothing that is excused has cost it the lock
	since   int64
	hold    *hold

	stretched bool // its EXPIRE moved the end of somebody else's
}

// act sends the next command.
func (q *pylock) act() {
	if q.next == nil {
		q.next = (*pylock).setnx
	}
	q.p.store.expire()
	q.next(q)
}

// crash ends the process, whatever it left.
func (q *pylock) crash() {
	if q.hold != nil {
		q.p.watch.drops(q.hold)
	}
	q.next, q.hold, q.won = nil, nil, false
}

func (q *pylock) value() value {
	q.p.stamps++ // no two values are the same, as with floats of µs
	q.mine = value{is: stamp, time: q.p.store.real + q.expires + second, id: q.p.stamps}
	return q.mine
}

func (q *pylock) setnx() {
	s := &q.p.store
	if s.lock.is != free {
		q.next = (*pylock).get
		return
	}
	q.p.watch.gives(s, token{}, exclusive)
	q.p.watch.turn++
	s.lock = q.value()
	q.wins(true)
}

func (q *pylock) wins(fair bool) {
	q.won, q.fair, q.next = true, fair, (*pylock).expire
}

func (q *pylock) get() {
	q.next = nil
	if v := q.p.store.lock; v.is == stamp && v.time < q.p.store.real {
		q.seen, q.next = v.id, (*pylock).getset
	}
}

// getset wins if the value that get saw came back. Else it has overwritten somebody's lock and its ttl.
func (q *pylock) getset() {
	s := &q.p.store
	old := s.lock
	s.lock = q.value()
	if old.is == stamp && old.id == q.seen {
		q.p.watch.turn++
		q.wins(q.p.watch.tookOver(s))
		return
	}
	q.next = nil
	q.p.watch.overwritten(s, old)
}

// expire sets the ttl of whatever is there by now.
func (q *pylock) expire() {
	s := &q.p.store
	q.next = (*pylock).release
	if s.lock.is == free {
		q.fair = false
	}
	mine := s.lock.is == stamp && s.lock.id == q.mine.id
	if !mine {
		q.fair = false
		q.p.watch.voidAll()
		q.stretched = true
	}
	if s.lock.is != free {
		s.lock.end = s.now + q.expires
	}
	q.since = s.real
	if q.fair && s.real < q.mine.time {
		q.hold = &hold{name: "a pylock", deadline: s.real + q.expires}
		q.p.watch.begins(s, q.hold)
	}
}

// release deletes the key, whatever is there, if less than expires has passed.
func (q *pylock) release() {
	s := &q.p.store
	if s.real-q.since < q.expires {
		if !(s.lock.is == stamp && s.lock.id == q.mine.id) {
			q.p.watch.voidAll()
		}
		s.lock = value{}
	}
	q.crash()
}

// A library takes the key with SET NX PX and leaves it by compare and delete.
type library struct {
	p    *play
	hold *hold
}

func (l *library) take(ttl int64) {
	s := &l.p.store
	s.expire()
	if s.lock.is == free {
		s.lock = value{is: other, end: s.now + ttl}
		l.p.watch.turn++
		l.hold = &hold{name: "another library", deadline: s.real + trusted(ttl)}
		l.p.watch.begins(s, l.hold)
	}
}

func (l *library) leave() {
	if l.hold != nil {
		l.p.watch.drops(l.hold)
		l.hold = nil
	}
	if s := &l.p.store; s.lock.is == other {
		s.lock = value{}
	}
}

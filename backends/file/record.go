//go:build linux || darwin

package file

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"

	"github.com/turnstile-go/turnstile/backends"
)

// A record is what is known of one key. Its times are µs on the clock of the
// process that has it in memory.
type record struct {
	key   string
	seq   uint64 // grows with each write; the newer slot has the higher one
	size  int    // of the slot it was read from; 0: it is new
	last  uint64 // the newest base
	lease lease
	rest  rest
	queue []waiter // in the order of their arrival

	kind   backends.Kind // of the shares
	shares []share       // in the order of their grants; none beside a lease
}

// A lease is a key's holder. The zero value is nobody.
type lease struct {
	token    backends.Token
	session  string // its session file
	label    string
	at, ends int64
	// promised: it was given to a waiter that has not come for it yet.
	promised bool
	// first is the base that was minted at its grant: it minted those from there to
	// the record's last, and no others.
	first   uint64
	revoked bool   // it is not made longer any more
	reason  string // the revoker's words
}

// A waiter is a place in the queue.
type waiter struct {
	token   backends.Token
	session string
	label   string // shortened to maxWaiterLabel
	since   int64  // when it came
	alive   int64  // it counts as gone afterwards
	wish
}

func (l lease) none() bool { return l.token == backends.Token{} }

// recordName is where a key's record is. 128 bits of a hash make a collision
// improbable, and the key inside makes it harmless.
func recordName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return recordPrefix + hex.EncodeToString(sum[:16])
}

const (
	recordPrefix = "k-"

	// A slot is magic (4), version (1), 3 bytes 0, checksum of all that follows
	// (4), length of the body (4), seq (8), body. The rest of its place is old.
	magic       = "TSTL"
	versionLock = 3
	// versionRest is of a record that ends in a rest, and versionShares of one that ends in a
	// rest and shares: earlier programs must not take its key.
	versionRest   = 4
	versionShares = 5
	headerSize    = 24
	// maxSlot bounds the length that is believed of a slot: see TestTheLongestRecordFits.
	maxSlot = 1 << 20

	maxLabel       = 256 // bytes of a holder's label that are kept
	maxWaiterLabel = 64  // of a waiter's, of which there are many
	maxQueue       = 2000
)

var (
	errTorn    = errors.New("no whole record")
	errVersion = errors.New("a record of another version of turnstile")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode is the slot of a record, with the writer's clock: readers of another
// epoch translate by the wall time of the write.
func (r *record) encode(c clock) []byte {
	buf := make(builder, headerSize, 512)
	copy(buf, magic)
	buf[4] = r.version()
	buf.text(r.key)
	buf.number(c.epoch)
	buf.number(uint64(c.now()))
	buf.number(uint64(wall()))
	buf.number(r.last)
	buf.token(r.lease.token)
	buf.text(r.lease.session)
	buf.text(r.lease.label)
	buf.number(uint64(r.lease.at))
	buf.number(uint64(r.lease.ends))
	buf.flag(r.lease.promised)
	buf.number(r.lease.first)
	buf.flag(r.lease.revoked)
	buf.text(r.lease.reason)
	buf.number(uint64(len(r.queue)))
	for _, w := range r.queue {
		buf.token(w.token)
		buf.text(w.session)
		buf.text(w.label)
		buf.number(uint64(w.since))
		buf.number(uint64(w.alive))
	}
	if buf[4] >= versionRest {
		buf.number(uint64(r.rest.until))
		buf.number(r.rest.first)
		buf.text(r.rest.label)
	}
	if buf[4] >= versionShares {
		buf.shares(r)
	}
	seal(buf, r.seq)
	return buf
}

// A builder is a slot that grows. It has fixed-size numbers, and strings with their
// length in front: there is nothing to escape, so any key will do, and a parser can't
// be led astray.
type builder []byte

func (b *builder) number(n uint64) { *b = binary.LittleEndian.AppendUint64(*b, n) }

func (b *builder) text(s string) {
	*b = append(binary.AppendUvarint(*b, uint64(len(s))), s...)
}

func (b *builder) token(t backends.Token) {
	if t == (backends.Token{}) {
		b.text("")
		return
	}
	b.text(t.Wire())
}

func (b *builder) flag(set bool) {
	if set {
		b.number(1)
		return
	}
	b.number(0)
}

// seal completes the header of a slot.
func seal(slot []byte, seq uint64) {
	binary.LittleEndian.PutUint32(slot[12:], uint32(len(slot)-headerSize))
	binary.LittleEndian.PutUint64(slot[16:], seq)
	// The checksum comes last, over all that stands behind it: length, seq, body.
	binary.LittleEndian.PutUint32(slot[8:], crc32.Checksum(slot[12:], castagnoli))
}

// bodySize is what a slot's header says of its length.
func bodySize(slot []byte) (int, error) {
	if len(slot) < headerSize || string(slot[:4]) != magic {
		return 0, errTorn
	}
	n := binary.LittleEndian.Uint32(slot[12:])
	if n > maxSlot-headerSize {
		return 0, errTorn
	}
	return int(n), nil
}

// decode reads a slot, and carries its times over to c.
func decode(slot []byte, c clock) (*record, error) {
	n, err := bodySize(slot)
	if err != nil {
		return nil, err
	}
	if len(slot) < headerSize+n {
		return nil, errTorn
	}
	slot = slot[:headerSize+n]
	if binary.LittleEndian.Uint32(slot[8:]) != crc32.Checksum(slot[12:], castagnoli) {
		return nil, errTorn
	}
	// Only after the checksum: a torn slot of ours is no slot of a later version.
	if slot[4] < versionLock || slot[4] > versionShares {
		return nil, errVersion
	}
	p := parser{rest: slot[headerSize:]}
	r := &record{seq: binary.LittleEndian.Uint64(slot[16:]), key: p.text()}
	epoch, wrote, wroteWall := p.number(), int64(p.number()), int64(p.number())
	r.last = p.number()
	r.lease = lease{token: p.token(), session: p.text(), label: p.text(), at: int64(p.number()), ends: int64(p.number()),
		promised: p.number() == 1, first: p.number(), revoked: p.number() == 1, reason: p.text()}
	for range min(p.number(), maxQueue) {
		w := waiter{token: p.token(), session: p.text(), label: p.text(), since: int64(p.number()), alive: int64(p.number())}
		if p.bad || !isSession(w.session) {
			return nil, errTorn
		}
		r.queue = append(r.queue, w)
	}
	if slot[4] >= versionRest {
		r.rest = rest{until: int64(p.number()), first: p.number(), label: p.text()}
	}
	if slot[4] >= versionShares {
		p.shares(r)
	}
	if p.bad || len(p.rest) != 0 || (!r.lease.none() && !isSession(r.lease.session)) {
		return nil, errTorn
	}
	// A step of the wall clock between write and read moves these times along;
	// that is why it is not used between processes of one epoch.
	if epoch != c.epoch {
		r.shift(wroteWall - wrote + c.now() - wall())
	}
	return r, nil
}

// shift moves all times, those of the queue too, which other processes wrote: a
// record has one clock at a time.
func (r *record) shift(by int64) {
	r.lease.at += by
	r.lease.ends += by
	if r.rest != (rest{}) {
		r.rest.until += by
	}
	for i := range r.shares {
		r.shares[i].at += by
		r.shares[i].ends += by
	}
	for i := range r.queue {
		r.queue[i].since += by
		r.queue[i].alive += by
	}
}

// A parser reads a body; once something is missing it is bad and reads zeros.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) number() uint64 {
	if len(p.rest) < 8 {
		p.bad, p.rest = true, nil
		return 0
	}
	n := binary.LittleEndian.Uint64(p.rest)
	p.rest = p.rest[8:]
	return n
}

func (p *parser) text() string {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 || n > uint64(len(p.rest)-size) {
		p.bad, p.rest = true, nil
		return ""
	}
	s := string(p.rest[size : size+int(n)])
	p.rest = p.rest[size+int(n):]
	return s
}

func (p *parser) token() backends.Token {
	wire := p.text()
	if wire == "" {
		return backends.Token{}
	}
	t, ok := backends.ParseToken(wire)
	p.bad = p.bad || !ok
	return t
}

package keyspace

import (
	"math"
	"strconv"
)

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

func get(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], stringKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil:
		return Reply{}
	}
	return bulk(e.str)
}

// mget is get of each key, where what is no string is nil.
func mget(k *Keyspace, args []string) Reply {
	k.scratch = k.scratch[:0]
	for _, key := range args[1:] {
		value := Reply{}
		if e, wrong := k.lookupKind(key, stringKind); e != nil && !wrong {
			value = bulk(e.str)
		}
		k.scratch = append(k.scratch, value)
	}
	return Reply{Kind: Array, Array: k.scratch}
}

// setOptions is what follows SET's key and value.
type setOptions struct {
	nx, xx, get, keepTTL bool
	unit                 int64  // ms a unit of ttl; 0: none was given
	ttl                  string // of EX or PX
}

func parseSetOptions(args []string) (o setOptions, ok bool) {
	for i := 0; i < len(args); i++ {
		// The common spellings first: upper allocates.
		word := args[i]
		if word != "NX" && word != "PX" {
			word = upper(word)
		}
		switch {
		case word == "NX" && !o.xx:
			o.nx = true
		case word == "XX" && !o.nx:
			o.xx = true
		case word == "GET":
			o.get = true
		case word == "KEEPTTL" && o.unit == 0:
			o.keepTTL = true
		case word == "PX" && o.unit != 1000 && !o.keepTTL && i+1 < len(args):
			i++
			o.unit, o.ttl = 1, args[i]
		case word == "EX" && o.unit != 1 && !o.keepTTL && i+1 < len(args):
			i++
			o.unit, o.ttl = 1000, args[i] // EX twice is fine with Redis: the last one counts
		default:
			return o, false
		}
	}
	return o, true
}

func set(k *Keyspace, args []string) Reply {
	o, valid := parseSetOptions(args[3:])
	if !valid {
		return failure(errSyntax)
	}
	var at int64
	if o.unit != 0 {
		n, valid := parseInt(o.ttl)
		if !valid {
			return failure(errNotInteger)
		}
		if n <= 0 || n > math.MaxInt64/o.unit || n*o.unit > math.MaxInt64-k.millis() {
			return expireError("set")
		}
		at = k.millis() + n*o.unit
	}
	e := k.lookup(args[1])
	reply := ok
	if o.get {
		if e != nil && e.kind != stringKind {
			return failure(errWrongType)
		}
		reply = Reply{}
		if e != nil {
			reply = bulk(e.str)
		}
	}
	if (o.nx && e != nil) || (o.xx && e == nil) {
		if o.get {
			return reply
		}
		return Reply{}
	}
	if o.keepTTL && e != nil {
		at = e.expires
	}
	k.assign(e, args[1], args[2], at)
	return reply
}

// assign makes key a string that ends at at, whatever e it was before.
func (k *Keyspace) assign(e *entry, key, value string, at int64) {
	if e == nil {
		e = k.add(key, stringKind)
	}
	if e.kind != stringKind {
		k.become(e, stringKind)
	}
	e.str = value
	k.expireAt(e, at)
}

func setnx(k *Keyspace, args []string) Reply {
	if k.lookup(args[1]) != nil {
		return integer(0)
	}
	k.assign(nil, args[1], args[2], 0)
	return integer(1)
}

func getset(k *Keyspace, args []string) Reply {
	old := get(k, args[:2])
	if old.Kind != Error {
		k.assign(k.lookup(args[1]), args[1], args[2], 0)
	}
	return old
}

func incr(k *Keyspace, args []string) Reply { return k.increment(args[1], 1) }
func decr(k *Keyspace, args []string) Reply { return k.increment(args[1], -1) }

func incrby(k *Keyspace, args []string) Reply {
	n, valid := parseInt(args[2])
	if !valid {
		return failure(errNotInteger)
	}
	return k.increment(args[1], n)
}

func decrby(k *Keyspace, args []string) Reply {
	n, valid := parseInt(args[2])
	switch {
	case !valid:
		return failure(errNotInteger)
	case n == math.MinInt64:
		return failure(errNegate)
	}
	return k.increment(args[1], -n)
}

// increment keeps the key's expiry, unlike SET.
func (k *Keyspace) increment(key string, by int64) Reply {
	e, wrong := k.lookupKind(key, stringKind)
	if wrong {
		return failure(errWrongType)
	}
	var n int64
	if e != nil {
		var valid bool
		if n, valid = parseInt(e.str); !valid {
			return failure(errNotInteger)
		}
	}
	n, fits := addInt(n, by)
	if !fits {
		return failure(errOverflow)
	}
	if e == nil {
		e = k.add(key, stringKind)
	}
	e.str = formatInt(n)
	return integer(n)
}

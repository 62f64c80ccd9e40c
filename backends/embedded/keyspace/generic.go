package keyspace

import "math"

func del(k *Keyspace, args []string) Reply {
	n := int64(0)
	for _, key := range args[1:] {
		if e := k.lookup(key); e != nil {
			k.remove(e)
			n++
		}
	}
	return integer(n)
}

func exists(k *Keyspace, args []string) Reply {
	n := int64(0)
	for _, key := range args[1:] {
		if k.lookup(key) != nil {
			n++
		}
	}
	return integer(n)
}

func typeOf(k *Keyspace, args []string) Reply {
	name := "none"
	if e := k.lookup(args[1]); e != nil {
		name = [...]string{stringKind: "string", hashKind: "hash", zsetKind: "zset"}[e.kind]
	}
	return Reply{Kind: Status, Str: name}
}

func expire(k *Keyspace, args []string) Reply  { return k.expireIn("expire", args, 1000) }
func pexpire(k *Keyspace, args []string) Reply { return k.expireIn("pexpire", args, 1) }

// expireIn sets a key's expiry; one that is not in the future deletes the key.
func (k *Keyspace) expireIn(command string, args []string, unit int64) Reply {
	n, valid := parseInt(args[2])
	if !valid {
		return failure(errNotInteger)
	}
	if n > math.MaxInt64/unit || n < math.MinInt64/unit || n*unit > math.MaxInt64-k.millis() {
		return expireError(command)
	}
	e := k.lookup(args[1])
	if e == nil {
		return integer(0)
	}
	if n <= 0 {
		k.remove(e)
	} else {
		k.expireAt(e, k.millis()+n*unit)
	}
	return integer(1)
}

func persist(k *Keyspace, args []string) Reply {
	e := k.lookup(args[1])
	if e == nil || e.expires == 0 {
		return integer(0)
	}
	k.expireAt(e, 0)
	return integer(1)
}

func pttl(k *Keyspace, args []string) Reply {
	e := k.lookup(args[1])
	switch {
	case e == nil:
		return integer(-2)
	case e.expires == 0:
		return integer(-1)
	}
	return integer(e.expires - k.millis())
}

// ttl is pttl in whole seconds, rounded to the nearest.
func ttl(k *Keyspace, args []string) Reply {
	reply := pttl(k, args)
	if reply.Int >= 0 {
		reply.Int = (reply.Int + 500) / 1000
	}
	return reply
}

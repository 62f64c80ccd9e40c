package keyspace

// hashFor finds the hash under key, or makes one.
func (k *Keyspace) hashFor(key string) (*hash, bool) {
	e, wrong := k.lookupKind(key, hashKind)
	if wrong {
		return nil, false
	}
	if e == nil {
		e = k.add(key, hashKind)
	}
	return k.hashes.of(e), true
}

func hset(k *Keyspace, args []string) Reply {
	pairs := args[2:]
	if len(pairs)%2 != 0 {
		return arityError("hset")
	}
	h, ok := k.hashFor(args[1])
	if !ok {
		return failure(errWrongType)
	}
	h.grow(len(pairs) / 2)
	added := int64(0)
	for i := 0; i < len(pairs); i += 2 {
		if h.set(pairs[i], pairs[i+1]) {
			added++
		}
	}
	return integer(added)
}

func hsetnx(k *Keyspace, args []string) Reply {
	h, ok := k.hashFor(args[1])
	if !ok {
		return failure(errWrongType)
	}
	if h.find(args[2]) >= 0 {
		return integer(0)
	}
	h.set(args[2], args[3])
	return integer(1)
}

func hget(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], hashKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil:
		return Reply{}
	}
	return valueOf(k.hashes.of(e), args[2])
}

func valueOf(h *hash, name string) Reply {
	if value, ok := h.get(name); ok {
		return bulk(value)
	}
	return Reply{}
}

func hmget(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], hashKind)
	if wrong {
		return failure(errWrongType)
	}
	k.scratch = k.scratch[:0]
	h := k.hashes.of(e)
	for _, name := range args[2:] {
		value := Reply{}
		if e != nil {
			value = valueOf(h, name)
		}
		k.scratch = append(k.scratch, value)
	}
	return Reply{Kind: Array, Array: k.scratch}
}

func hgetall(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], hashKind)
	if wrong {
		return failure(errWrongType)
	}
	k.scratch = k.scratch[:0]
	if e != nil {
		for _, f := range k.hashes.of(e).fields {
			k.scratch = append(k.scratch, bulk(f.name), bulk(f.value))
		}
	}
	return Reply{Kind: Array, Array: k.scratch}
}

func hdel(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], hashKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil:
		return integer(0)
	}
	n := int64(0)
	h := k.hashes.of(e)
	for _, name := range args[2:] {
		if h.remove(name) {
			n++
		}
	}
	k.removeIfEmpty(e)
	return integer(n)
}

func hlen(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], hashKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil:
		return integer(0)
	}
	return integer(int64(k.hashes.of(e).len()))
}

func hexists(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], hashKind)
	if wrong {
		return failure(errWrongType)
	}
	return boolean(e != nil && k.hashes.of(e).find(args[2]) >= 0)
}

func hincrby(k *Keyspace, args []string) Reply {
	by, valid := parseInt(args[3])
	if !valid {
		return failure(errNotInteger)
	}
	e, wrong := k.lookupKind(args[1], hashKind)
	if wrong {
		return failure(errWrongType)
	}
	var n int64
	if e != nil {
		if old, ok := k.hashes.of(e).get(args[2]); ok {
			if n, valid = parseInt(old); !valid {
				return failure(errHashInteger)
			}
		}
	}
	n, fits := addInt(n, by)
	if !fits {
		return failure(errOverflow)
	}
	h, _ := k.hashFor(args[1])
	h.set(args[2], formatInt(n))
	return integer(n)
}

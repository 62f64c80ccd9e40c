package keyspace

// zaddOptions is what stands between ZADD's key and its first score.
type zaddOptions struct {
	nx, xx, gt, lt, ch bool
}

func parseZaddOptions(args []string) (o zaddOptions, rest []string) {
	for i, word := range args {
		switch upper(word) {
		case "NX":
			o.nx = true
		case "XX":
			o.xx = true
		case "GT":
			o.gt = true
		case "LT":
			o.lt = true
		case "CH":
			o.ch = true
		default:
			return o, args[i:]
		}
	}
	return o, nil
}

// fault is what Redis says of options that contradict one another.
func (o zaddOptions) fault() string {
	switch {
	case o.nx && o.xx:
		return errNXandXX
	case (o.gt && (o.nx || o.lt)) || (o.lt && o.nx):
		return errGTandLT
	}
	return ""
}

// allows says whether a member's score may become score.
func (o zaddOptions) allows(old float64, found bool, score float64) bool {
	if !found {
		return !o.xx
	}
	return !o.nx && !(o.gt && score <= old) && !(o.lt && score >= old)
}

func zadd(k *Keyspace, args []string) Reply {
	o, pairs := parseZaddOptions(args[2:])
	if len(pairs) == 0 || len(pairs)%2 != 0 {
		return failure(errSyntax)
	}
	if fault := o.fault(); fault != "" {
		return failure(fault)
	}
	// All scores are read before the first is stored: an error changes nothing.
	for i := 0; i < len(pairs); i += 2 {
		if _, valid := parseFloat(pairs[i]); !valid {
			return failure(errNotFloat)
		}
	}
	e, wrong := k.lookupKind(args[1], zsetKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil && o.xx:
		return integer(0)
	case e == nil:
		e = k.add(args[1], zsetKind)
	}
	n, z := int64(0), k.zsets.of(e)
	for i := 0; i < len(pairs); i += 2 {
		score, _ := parseFloat(pairs[i])
		old, found := z.score(pairs[i+1])
		if !o.allows(old, found, score) {
			continue
		}
		added, changed := z.set(pairs[i+1], score)
		if added || changed && o.ch {
			n++
		}
	}
	return integer(n)
}

func zrem(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], zsetKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil:
		return integer(0)
	}
	n, z := int64(0), k.zsets.of(e)
	for _, member := range args[2:] {
		if z.remove(member) {
			n++
		}
	}
	k.removeIfEmpty(e)
	return integer(n)
}

func zcard(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], zsetKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil:
		return integer(0)
	}
	return integer(int64(k.zsets.of(e).len()))
}

func zscore(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], zsetKind)
	if wrong {
		return failure(errWrongType)
	}
	if e != nil {
		if score, ok := k.zsets.of(e).score(args[2]); ok {
			return bulk(FormatFloat(score))
		}
	}
	return Reply{}
}

func zmscore(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], zsetKind)
	if wrong {
		return failure(errWrongType)
	}
	k.scratch = k.scratch[:0]
	for _, member := range args[2:] {
		score := Reply{}
		if e != nil {
			if s, ok := k.zsets.of(e).score(member); ok {
				score = bulk(FormatFloat(s))
			}
		}
		k.scratch = append(k.scratch, score)
	}
	return Reply{Kind: Array, Array: k.scratch}
}

func zrank(k *Keyspace, args []string) Reply {
	e, wrong := k.lookupKind(args[1], zsetKind)
	if wrong {
		return failure(errWrongType)
	}
	if e != nil {
		if i := k.zsets.of(e).rank(args[2]); i >= 0 {
			return integer(int64(i))
		}
	}
	return Reply{}
}

func zrange(k *Keyspace, args []string) Reply {
	scores := false
	for _, word := range args[4:] {
		if upper(word) != "WITHSCORES" {
			return failure(errSyntax)
		}
		scores = true
	}
	start, startOK := parseInt(args[2])
	stop, stopOK := parseInt(args[3])
	if !startOK || !stopOK {
		return failure(errNotInteger)
	}
	e, wrong := k.lookupKind(args[1], zsetKind)
	if wrong {
		return failure(errWrongType)
	}
	k.scratch = k.scratch[:0]
	if e != nil {
		z := k.zsets.of(e)
		i, j := clip(start, stop, z.len())
		for _, m := range z.members[i:j] {
			k.scratch = append(k.scratch, bulk(m.member))
			if scores {
				k.scratch = append(k.scratch, bulk(FormatFloat(m.score)))
			}
		}
	}
	return Reply{Kind: Array, Array: k.scratch}
}

func zcount(k *Keyspace, args []string) Reply {
	from, to, valid := parseRange(args[2], args[3])
	if !valid {
		return failure(errRange)
	}
	e, wrong := k.lookupKind(args[1], zsetKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil:
		return integer(0)
	}
	i, j := k.zsets.of(e).within(from, to)
	return integer(int64(j - i))
}

func zremrangebyscore(k *Keyspace, args []string) Reply {
	from, to, valid := parseRange(args[2], args[3])
	if !valid {
		return failure(errRange)
	}
	e, wrong := k.lookupKind(args[1], zsetKind)
	switch {
	case wrong:
		return failure(errWrongType)
	case e == nil:
		return integer(0)
	}
	z := k.zsets.of(e)
	i, j := z.within(from, to)
	z.cut(i, j)
	k.removeIfEmpty(e)
	return integer(int64(j - i))
}

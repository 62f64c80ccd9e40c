package keyspace

// A Command is one command of the keyspace. Its arguments include its name, as
// in Redis.
type Command struct {
	name  string // lower case, as error messages have it
	arity int    // arguments with the name; -n: at least n
	run   func(k *Keyspace, args []string) Reply
}

// commands is every command there is, by its name in upper case.
var commands = byName(
	Command{"get", 2, get}, Command{"set", -3, set}, Command{"setnx", 3, setnx}, Command{"getset", 3, getset}, Command{"mget", -2, mget},
	Command{"incr", 2, incr}, Command{"incrby", 3, incrby}, Command{"decr", 2, decr}, Command{"decrby", 3, decrby},

	Command{"del", -2, del}, Command{"exists", -2, exists}, Command{"type", 2, typeOf},
	Command{"expire", 3, expire}, Command{"pexpire", 3, pexpire}, Command{"persist", 2, persist},
	Command{"ttl", 2, ttl}, Command{"pttl", 2, pttl},

	Command{"hset", -4, hset}, Command{"hsetnx", 4, hsetnx}, Command{"hget", 3, hget}, Command{"hmget", -3, hmget},
	Command{"hgetall", 2, hgetall}, Command{"hdel", -3, hdel}, Command{"hlen", 2, hlen}, Command{"hexists", 3, hexists},
	Command{"hincrby", 4, hincrby},

	Command{"zadd", -4, zadd}, Command{"zrem", -3, zrem}, Command{"zcard", 2, zcard}, Command{"zscore", 3, zscore}, Command{"zmscore", -3, zmscore},
	Command{"zrank", 3, zrank}, Command{"zrange", -4, zrange}, Command{"zcount", 4, zcount},
	Command{"zremrangebyscore", 4, zremrangebyscore},

	Command{"time", 1, timeOf}, Command{"publish", 3, publish},
)

func byName(list ...Command) map[string]*Command {
	m := make(map[string]*Command, len(list))
	for _, c := range list {
		m[upper(c.name)] = &c
	}
	return m
}

// Find returns the command of a name in any case, or nil. The upper case is
// found without allocating.
func Find(name string) *Command {
	if c := commands[name]; c != nil {
		return c
	}
	return commands[upper(name)]
}

// upper folds ASCII alone: strings.ToUpper would let "ſet" (U+017F) pass as SET.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// Names lists the commands, in upper case and no order.
func Names() []string {
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	return names
}

// Do runs a command: args[0] is its name. The reply's array is valid until the
// next command.
func (k *Keyspace) Do(args ...string) Reply {
	if len(args) == 0 {
		return failure(ErrUnknown)
	}
	c := Find(args[0])
	if c == nil {
		return failure(ErrUnknown)
	}
	return k.Run(c, args)
}

// Run is Do for a command that was found before. args is not kept.
func (k *Keyspace) Run(c *Command, args []string) Reply {
	if n := len(args); (c.arity >= 0 && n != c.arity) || n < -c.arity {
		return failure(ErrArity)
	}
	return c.run(k, args)
}

func timeOf(k *Keyspace, _ []string) Reply {
	if s := k.now / 1e6; s != k.second || k.seconds == "" {
		k.second, k.seconds = s, formatInt(s)
	}
	k.scratch = append(k.scratch[:0], bulk(k.seconds), bulk(formatInt(k.now%1e6)))
	return Reply{Kind: Array, Array: k.scratch}
}

// publish queues the message: it is delivered when the script has ended, and
// outside of whatever lock guards the keyspace.
func publish(k *Keyspace, args []string) Reply {
	n := 0
	if k.listeners != nil {
		n = k.listeners(args[1])
	}
	if n > 0 {
		k.published = append(k.published, Message{Channel: args[1], Payload: args[2]})
	}
	return integer(int64(n))
}

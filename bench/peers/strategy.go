package main

import (
	"fmt"
	"strings"
	"time"
)

// The names of the strategies, as they stand in the report.
const (
	turnstile   = "turnstile"
	lingering   = "turnstile, Linger 1s"
	peerRedsync = "redsync"
	peerBSM     = "redislock"
	peerRueidis = "rueidislock"
	peerNoLoop  = "rueidislock, NOLOOP"
	rawCeiling  = "server's ceiling"
	plainWake   = "publish, wake, EVALSHA"
	bareAcquire = "EVALSHA acquire.lua"
	bareTrivial = "EVALSHA return 1"
)

// owner is the label that our leases carry. The ceiling's carry it as well: its
// length is part of what a server has to read.
const owner = "bench"

// A spec says what one performer has to do. It travels to worker processes.
type spec struct {
	Strategy   string
	Addr       string        // the server
	Pool       int           // connections of a go-redis client; 0 is the driver's default
	Process    int           // from 0
	Goroutines int           // of this process
	Keys       int           // how many there are
	Turns      bool          // two processes in turn, and not a load
	Record     string        // the file of the shared record; "" within one process
	Budget     time.Duration // the run is broken off after that: somebody hangs
}

// A strategy is one row of a table.
type strategy struct {
	name     string
	peer     bool   // another library: what ours is compared with
	settings string // for the report's reader
	// inner are the commands that its scripts call on the server, which counts
	// them like those that travelled. A command in no strategy's scripts but
	// sent by the client counts as sent, and so does PUBLISH, which is both: the
	// count of requests is never too low.
	inner []string
	// open is nil for what is no lock.
	open func(addr string, pool int) (locker, error)
	// build makes the job of a strategy that is no lock.
	build func(spec, *record) (job, error)
}

var ourCommands = strings.Fields(`time get set del pttl pexpire hget hmget hset hdel hlen hgetall
	zadd zrem zscore zrank zrange zcount`)

var strategies = []strategy{
	{
		name: turnstile, inner: ourCommands,
		settings: fmt.Sprintf("lockclient.Open, Expires %v, otherwise its defaults", expires),
		open:     func(addr string, pool int) (locker, error) { return openOurs(addr, pool, 0) },
	},
	{
		name: lingering, inner: ourCommands,
		settings: "the same, Linger 1s",
		open:     func(addr string, pool int) (locker, error) { return openOurs(addr, pool, time.Second) },
	},
	{
		name: peerRedsync, peer: true, inner: []string{"get", "del"},
		settings: fmt.Sprintf("one go-redis pool, WithExpiry(%v), WithTries(%d), retry delay: its default, random 50 to 250 ms", expires, redsyncTries),
		open:     openRedsync,
	},
	{
		name: peerBSM, peer: true, inner: []string{"set", "get", "getrange", "del"},
		settings: fmt.Sprintf("one go-redis client, ttl %v, LinearBackoff(%v)", expires, redislockBackoff),
		open:     openRedislock,
	},
	{
		name: peerRueidis, peer: true, inner: []string{"set", "get", "del", "pexpireat"},
		settings: "KeyMajority 1, otherwise its defaults (KeyValidity 5s)",
		open:     func(addr string, _ int) (locker, error) { return openRueidislock(addr, false) },
	},
	{
		name: peerNoLoop, peer: true, inner: []string{"set", "get", "del", "pexpireat"},
		settings: "the same, NoLoopTracking",
		open:     func(addr string, _ int) (locker, error) { return openRueidislock(addr, true) },
	},
	{
		name: rawCeiling, inner: ourCommands,
		settings: fmt.Sprintf("no lock: %d connections, each pipelining %d acquire.lua and then their release.lua, requests built beforehand", ceilingConns, ceilingDepth),
		build:    newCeiling,
	},
	{
		name: plainWake, inner: ourCommands,
		settings: "no lock: go-redis as Turnstile sets it up, PUBLISH, a subscriber wakes, one EVALSHA of acquire.lua as a confirmation",
		build:    newWake,
	},
}

func strategyNamed(name string) (strategy, error) {
	for _, s := range strategies {
		if s.name == name {
			return s, nil
		}
	}
	return strategy{}, fmt.Errorf("no strategy %q", name)
}

// newJob makes what a performer runs.
func newJob(sp spec) (job, error) {
	s, err := strategyNamed(sp.Strategy)
	if err != nil {
		return nil, err
	}
	rec, err := openRecord(sp.Record, sp.Keys)
	if err != nil {
		return nil, err
	}
	if s.build != nil {
		return s.build(sp, rec)
	}
	l, err := s.open(sp.Addr, sp.Pool)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	if sp.Turns {
		return &turns{locker: l, record: rec, process: sp.Process}, nil
	}
	return newLoad(l, rec, sp), nil
}

// Package scripts embeds the lock's Lua scripts: one file a verb, the same
// text on a Redis server and on the embedded engine.
//
// Those in the folder mutex are the lock's own. They know of shares of it only that somebody
// has it. Those in the folder shares know both.
//
// Each file's header lists its KEYS, its ARGV, its reply, and why it is safe to
// run twice; a test compares the header with the code. shared.lua is put into
// each full verb, below the way of a quiet key, so that the server sees one
// self-contained script, which makes none of shared.lua's functions for a quiet key.
package scripts

import (
	"crypto/sha1" // EVALSHA names scripts by SHA-1; nothing is secured by it.
	_ "embed"
	"encoding/hex"
	"strings"
	"sync"
)

// KeyCount is the number of keys that every full verb of the mutex takes: the lock, its companion, its
// rarer notes (more), its queue, and the sessions alive in it, all in one hash slot. A verb of shares
// takes ShareKeyCount: the same, its holders, and their shares.
const (
	KeyCount      = 5
	ShareKeyCount = 7
)

// A Script is one verb as a server gets it. Source and SHA are made when they are first
// asked for: a process that needs no script pays for none at its start.
type Script struct {
	Name string // the verb, "acquire"

	body        string
	common      string // what stands in place of the line place
	shares      bool
	source, sha func() string
}

// Source returns the verb's own file, with shared.lua and what follows it where the file names the first.
func (s *Script) Source() string { return s.source() }

// Keys returns the KEYS of a full verb for a full key.
func (s *Script) Keys(key string) []string {
	if s.shares {
		return ShareKeys(key)
	}
	return Keys(key)
}

// Hoisted returns the same script with both before everything: for an engine that makes the
// functions at a script's head once for all runs, and would make those below it in each.
func (s *Script) Hoisted() string {
	if before, after, full := strings.Cut(s.body, place); full {
		return s.common + before + after
	}
	return s.body
}

// place is the line of a verb where shared.lua belongs.
const place = "\n-- shared.lua\n"

// SHA is that of Source, 40 hex digits, the name EVALSHA knows it by.
func (s *Script) SHA() string { return s.sha() }

var (
	//go:embed mutex/shared.lua
	state string
	//go:embed mutex/queue.lua
	queue string
	//go:embed mutex/acquire.lua
	acquire string
	//go:embed mutex/renew.lua
	renew string
	//go:embed mutex/release.lua
	release string
	//go:embed mutex/rest.lua
	rest string
	//go:embed mutex/cancel.lua
	cancel string
	//go:embed mutex/inspect.lua
	inspect string
	//go:embed mutex/revoke.lua
	revoke string
	//go:embed mutex/fast.lua
	fast string
	//go:embed mutex/beat.lua
	beat string

	//go:embed shares/kinds.lua
	kinds string
	//go:embed shares/acquire.lua
	acquireShare string
	//go:embed shares/renew.lua
	renewShare string
	//go:embed shares/release.lua
	releaseShare string
	//go:embed shares/inspect.lua
	inspectShares string
	//go:embed shares/revoke.lua
	revokeShares string
)

// The verbs of the mutex.
var (
	Acquire = script("acquire", acquire)
	Renew   = script("renew", renew)
	Release = script("release", release)
	Rest    = script("rest", rest)
	Cancel  = script("cancel", cancel)
	Inspect = script("inspect", inspect)
	Revoke  = script("revoke", revoke)
)

// The verbs of shares. ReleaseShare ends an attempt: it is their release and their cancel.
var (
	AcquireShare  = shareScript("acquire", acquireShare)
	RenewShare    = shareScript("renew", renewShare)
	ReleaseShare  = shareScript("release", releaseShare)
	InspectShares = shareScript("inspect", inspectShares)
	RevokeShares  = shareScript("revoke", revokeShares)
)

// Fast frees and takes quiet keys, any number in one call. It takes the first two of a lock's
// keys for each, and stands without shared.lua.
var Fast = script("fast", fast)

// Beat keeps attempts in their queues that wait for any number of keys, in one call. It takes lock and alive of a lock's keys
// for each, and stands without shared.lua.
var Beat = script("beat", beat)

// Mutex lists the full verbs of the mutex.
func Mutex() []*Script {
	return []*Script{Acquire, Renew, Release, Rest, Cancel, Inspect, Revoke}
}

// Shares lists the verbs of shares.
func Shares() []*Script {
	return []*Script{AcquireShare, RenewShare, ReleaseShare, InspectShares, RevokeShares}
}

func script(name, body string) *Script { return newScript(name, body, state+queue, false) }

func shareScript(name, body string) *Script {
	return newScript("shares/"+name, body, state+queue+kinds, true)
}

func newScript(name, body, common string, shares bool) *Script {
	s := &Script{Name: name, body: body, common: common, shares: shares}
	s.source = sync.OnceValue(func() string { return strings.Replace(body, place, "\n"+common+"\n", 1) })
	s.sha = sync.OnceValue(func() string {
		sum := sha1.Sum([]byte(s.Source()))
		return hex.EncodeToString(sum[:])
	})
	return s
}

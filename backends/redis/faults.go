package redis

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// A fault is a call that brought no usable reply.
type fault struct {
	outcome backends.Outcome // NotRun or MayHaveRun
	err     error
	// wrongType: a key holds what it shouldn't, and the server doesn't say which.
	wrongType bool
}

// reply is what the call returns that had the fault.
func (f *fault) reply() (backends.Reply, error) { return backends.Reply{Outcome: f.outcome}, f.err }

// errClosed is what calls get after Close.
var errClosed = backends.Unavailable(name, backends.ErrClosed)

// errNoAnswer is what started calls get whose deadline has passed.
var errNoAnswer = backends.Unavailable(name, context.DeadlineExceeded)

// judge tells what an error means.
//
//	the request's end was never written   did not run, whatever the reason: dial refused, no free
//	                                      connection, ctx done, login denied
//	the server answered with an error     by its words; see judgeReply
//	anything else                         may have run: a timeout, a reset, a reply that makes no sense
func (b *Backend) judge(ctx context.Context, s *scripts.Script, key string, err error, written bool) *fault {
	outcome := backends.MayHaveRun
	if !written {
		outcome = backends.NotRun
	}
	var several interface{ Unwrap() []error }
	if b.topology.form == sentinel && !written && errors.As(err, &several) {
		return b.judgeSentinels(ctx, s, err, several.Unwrap())
	}
	var reply goredis.Error
	var away *turnedAway
	switch {
	case errors.As(err, &away):
		f := b.judgeReply(away.said, s, key)
		f.outcome = backends.NotRun
		return f
	case errors.As(err, &reply) && !errors.Is(err, goredis.Nil):
		f := b.judgeReply(reply.Error(), s, key)
		if !written {
			f.outcome = backends.NotRun // a reply to the login, not to the script
		}
		return f
	case errors.Is(err, goredis.Nil):
		b.dialer.mistrust()
		return &fault{outcome: outcome, err: malformed(s.Name)}
	case errors.Is(err, goredis.ErrClosed), b.closed.Load():
		return &fault{outcome: outcome, err: errClosed}
	}
	// No answer: its node may be gone, and another have the key's slot.
	b.topology.reload(ctx)
	if advice := tlsAdvice(err); advice != "" {
		return &fault{outcome: outcome, err: backends.Refused(name, advice, byDriver(err))}
	}
	if !written && strings.Contains(err.Error(), garbled) {
		return &fault{outcome: outcome, err: backends.Refused(name, strangerAdvice, &serverError{bare(err), backends.WrongServer})}
	}
	if ended := ctxError(ctx, err); ended != nil {
		return &fault{outcome: outcome, err: interrupted(ctx, ended, err)}
	}
	return &fault{outcome: outcome, err: backends.Unavailable(name, byDriver(err))}
}

// garbled is what the driver says of an answer that is not in Redis's protocol. It
// has no error of its own for that. As the answer to a login, the first thing on any
// connection, it means that another kind of server is there.
const garbled = "redis: can't parse"

const strangerAdvice = "what answers there is no Redis server: check the port, and the scheme of the URL (memcached is memcache://)"

// judgeSentinels tells what the errors of all Sentinels mean, one of which would
// have been enough to find the master. Waiting can mend it if it can mend one.
func (b *Backend) judgeSentinels(ctx context.Context, s *scripts.Script, all error, each []error) *fault {
	var first *fault
	for _, err := range each {
		f := b.judgeSentinel(ctx, s, err)
		if !backends.IsRefused(f.err) {
			if ended := ctxError(ctx, all); ended != nil {
				return &fault{outcome: backends.NotRun, err: interrupted(ctx, ended, all)}
			}
			return &fault{outcome: backends.NotRun, err: backends.Unavailable(name, byDriver(all))}
		}
		if first == nil {
			first = f
		}
	}
	return first
}

func (b *Backend) judgeSentinel(ctx context.Context, s *scripts.Script, err error) *fault {
	what, said := "", byServer(err.Error(), 0)
	switch {
	case errors.Is(err, goredis.Nil):
		what, said = "the Sentinels watch no master of that name: check master_name", byServer("no such master", 0)
	case goredis.HasErrorPrefix(err, "NOPERM"):
		what, said.reason = "the Sentinels' user lacks a permission: grant "+sentinelGrants, backends.NoPermission
	case goredis.HasErrorPrefix(err, "NOAUTH"), goredis.HasErrorPrefix(err, "WRONGPASS"), goredis.HasErrorPrefix(err, "AUTH"):
		what, said.reason = "the Sentinels refuse the login: check sentinel_username and sentinel_password", backends.WrongLogin
	case goredis.HasErrorPrefix(err, "unknown command"):
		what, said.reason = "the server is no Sentinel: check the port, or use redis:// in place of redis+sentinel://", backends.WrongServer
	default:
		return b.judge(ctx, s, "", err, false)
	}
	return &fault{outcome: backends.NotRun, err: b.refusal(what, said)}
}

// ctxError is the ctx's part in an error, nil if it had none. The connection's
// deadline is the ctx's own, and its timer can fire a moment before the ctx's
// does; a caller that then compares the error with ctx.Err() finds that nil. So
// the other timer is waited for.
func ctxError(ctx context.Context, err error) error {
	var timeout net.Error
	deadline, ok := ctx.Deadline()
	if !ok || time.Now().Before(deadline) || !errors.As(err, &timeout) || !timeout.Timeout() {
		return ctx.Err()
	}
	late := time.NewTimer(timerSlack)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return context.DeadlineExceeded
	}
}

// timerSlack is far more than two timers of one time are ever apart.
const timerSlack = 50 * time.Millisecond

// interrupted is the error of a call that ended with its context. Its cause is
// shown as well, since a cause given by the canceller need not match ctx.Err().
func interrupted(ctx context.Context, ended, driver error) error {
	err := backends.Unavailable(name, ended)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = backends.Wrap(err, "", cause)
	}
	if !errors.Is(driver, ended) {
		err = backends.Wrap(err, "", byDriver(driver))
	}
	return err
}

// malformed is the error of a reply that no script of ours gives: another
// version's, or a proxy's. It is never taken for a grant.
func malformed(verb string) error {
	return backends.Unavailable(name, errors.New("the reply to "+verb+" makes no sense"))
}

// errSettled is what a late copy of a settled attempt's acquire gets.
var errSettled = backends.Unavailable(name, backends.ErrSettled)

// A verdict is what one kind of server error means.
type verdict struct {
	words   []string // how the error begins, or a part of it if it has a space in front
	outcome backends.Outcome
	reason  backends.Reason
	// advice says how to mend an error that waiting can't mend; but see passes. %k,
	// %c stand for the key and its companions.
	advice string
}

// verdicts are tried in order. An error inside a script can leave the writes
// before it behind, so it may have run; but the checks that Redis makes before
// a script's first write (the role, the memory, the disk, the replicas) can't
// newly fail after it. Checked against Redis 7.0; the words of 6.2 are in the tests.
var verdicts = []verdict{
	{words: []string{"OOM"}, outcome: backends.NotRun, reason: backends.OutOfMemory},
	{words: []string{"MISCONF"}, outcome: backends.NotRun, reason: backends.CannotSave},
	{words: []string{"NOREPLICAS"}, outcome: backends.NotRun, reason: backends.TooFewReplicas},
	{words: []string{"LOADING"}, outcome: backends.NotRun, reason: backends.Loading},
	{words: []string{"BUSY "}, outcome: backends.NotRun, reason: backends.Busy},
	{words: []string{"MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "ASK "}, outcome: backends.NotRun, reason: backends.Moving},
	{words: []string{"ERR max number of clients"}, outcome: backends.NotRun, reason: backends.TooManyClients},
	// A slot on its way: the script found all its keys at the start, and may no more
	// make a new one in place of one that it deleted. What it did before that stands,
	// as if the reply had been lost. Or the Cluster is down and lets scripts that read begin.
	{words: []string{" attempted to access a non local key", " while the cluster is down"}, outcome: backends.MayHaveRun, reason: backends.Moving},
	{
		words: []string{"READONLY"}, outcome: backends.NotRun, reason: backends.ReadOnly,
		advice: "the server is a replica, which takes no writes: name its master, or its Sentinels by redis+sentinel://",
	},
	{
		words: []string{"NOAUTH", "WRONGPASS", "ERR invalid password", "ERR AUTH", "ERR Client sent AUTH", protocolNoAuth}, outcome: backends.NotRun,
		reason: backends.WrongLogin,
		advice: "the login was refused: check the user and password of the backend URL",
	},
	{
		words: []string{"DENIED"}, outcome: backends.NotRun, reason: backends.NoPermission,
		advice: "the server is in protected mode: give it a password or bind it to this network",
	},
	{
		words: []string{"ERR DB index", "ERR invalid DB", "ERR SELECT"}, outcome: backends.NotRun, reason: backends.WrongDatabase,
		advice: "the server has no such database: check the number in the backend URL",
	},
	{
		words: []string{"MOVED", "CROSSSLOT"}, outcome: backends.NotRun, reason: backends.WrongServer,
		advice: "the server is a node of a Cluster: use redis+cluster://",
	},
	{
		words: []string{"ERR This instance has cluster support disabled"}, outcome: backends.NotRun, reason: backends.WrongServer,
		advice: "the server is no node of a Cluster: use redis:// in place of redis+cluster://",
	},
	{
		words: []string{" run the 'select' command"}, outcome: backends.NotRun, reason: backends.NoPermission,
		advice: "the user may not choose a database: grant +select, or use database 0",
	},
	{
		words: []string{" run the 'client|setname' command"}, outcome: backends.NotRun, reason: backends.NoPermission,
		advice: "the user may not name its connections: grant +client|setname, or leave out client_name",
	},
	{
		words: []string{" run the 'scan' command"}, outcome: backends.NotRun, reason: backends.NoPermission,
		advice: "the user may not list keys: grant +scan",
	},
	{
		words: []string{"NOPERM", " ACL failure in script", " can't access at least one of the keys"}, outcome: backends.MayHaveRun,
		reason: backends.NoPermission,
		advice: "the user lacks a permission: grant ~%k, ~%c and " + grants,
	},
	{
		words: []string{" can't run this command"}, outcome: backends.MayHaveRun, reason: backends.NoPermission,
		advice: "the user lacks a command of the script: grant " + grants,
	},
	{
		words: []string{"WRONGTYPE"}, outcome: backends.MayHaveRun, reason: backends.WrongType,
		advice: "%k, or one of its companions %c, holds something that is no lock",
	},
	{
		words: []string{"ERR unknown command", "ERR Unknown"}, outcome: backends.MayHaveRun, reason: backends.WrongServer,
		advice: "the server lacks a command that locks need (Redis 6.2 or later, or Valkey)",
	},
}

// protocolNoAuth is what Redis says instead of NOAUTH to a request of more than
// ten parts: it doesn't even read that much from a client it doesn't know.
const protocolNoAuth = "ERR Protocol error: unauthenticated"

// grants are the commands that an ACL user needs, the scripts' own included;
// on a Cluster those of clusterGrants, too.
const grants = "+evalsha +eval +time +get +mget +set +del +exists +pttl +pexpire +hmget +hget +hset +hdel +hlen +hgetall " +
	"+zadd +zrem +zrange +zrank +zscore +zcount +publish"

const (
	clusterGrants  = " +cluster|slots +spublish"
	sentinelGrants = "+sentinel|get-master-addr-by-name +sentinel|sentinels +subscribe and all channels"
)

// within62 is what Redis 6 puts before an error from inside a script.
var within62 = regexp.MustCompile(`^ERR Error running script \(call to [^)]*\): (?:@?user_script: ?\d+: )*-?`)

// judgeReply tells what a server's error means, by its words.
func (b *Backend) judgeReply(text string, s *scripts.Script, key string) *fault {
	inside := strings.Contains(text, s.SHA()) // Redis names the script that an error came from
	said := within62.ReplaceAllString(text, "")
	for _, v := range verdicts {
		if !v.matches(said) {
			continue
		}
		outcome := v.outcome
		if !inside {
			outcome = backends.NotRun // refused at the door
		}
		cause := byServer(text, v.reason)
		if v.advice == "" || b.topology.form == cluster && strings.HasPrefix(said, "MOVED") { // moved again while it was followed
			return &fault{outcome: outcome, err: backends.Unavailable(name, cause)}
		}
		err := b.refusal(advise(v.advice, key, b.topology.form), cause)
		return &fault{outcome: outcome, err: err, wrongType: v.reason == backends.WrongType}
	}
	cause := byServer(text, 0)
	if inside || strings.HasPrefix(text, "ERR Error compiling script") {
		// The script itself failed. It will do so again.
		return &fault{outcome: backends.MayHaveRun, err: backends.Refused(name, "the "+s.Name+" script failed", cause)}
	}
	return &fault{outcome: backends.MayHaveRun, err: backends.Unavailable(name, cause)}
}

// refusal is a server's error that waiting can't mend, unless it is one of those
// that can pass after all:
//
//	the login was refused, but had worked    credentials are being changed
//	a server takes no writes, but had taken  another is taking its place, behind its name
//	the same by Sentinel, or on a Cluster    the next one will be found
func (b *Backend) refusal(advice string, cause *serverError) error {
	switch {
	case cause.reason == backends.ReadOnly && b.topology.form != single:
		return backends.Unavailable(name, cause)
	case cause.reason == backends.ReadOnly && b.wrote.Load(), cause.reason == backends.WrongLogin && b.let.Load():
		return backends.Wrap(backends.ErrUnavailable, name+": "+advice, cause)
	}
	return backends.Refused(name, advice, cause)
}

func (v verdict) matches(said string) bool {
	for _, w := range v.words {
		if strings.HasPrefix(said, w) || w[0] == ' ' && strings.Contains(said, w) {
			return true
		}
	}
	return false
}

func advise(advice, key string, f form) string {
	if f == cluster && strings.HasSuffix(advice, grants) {
		advice += clusterGrants
	}
	return strings.NewReplacer("%k", key, "%c", scripts.Companions(key)).Replace(advice)
}

// presentable is a server's text without what it quotes of the request: the
// token is a secret, and "unknown command" repeats the arguments.
func presentable(text string) string {
	text, _, _ = strings.Cut(text, ", with args")
	return text
}

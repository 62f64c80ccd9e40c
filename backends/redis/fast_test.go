package redis

import (
	"errors"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// fastOf makes a command of a quiet key, and says that a flush took it.
func fastOf(verb backends.Verb, a backends.Attempt) *command {
	c := blankCommand()
	c.call = backends.Call{Verb: verb, Request: backends.Request{Attempt: a, TTL: time.Minute, Label: "tester"}}
	c.push = pushByScript
	c.makeFast()
	c.deadline = time.Now().Add(time.Minute)
	c.state.Store(taken)
	return c
}

// attemptsOf makes attempts of one session, each at a key of its own.
func attemptsOf(t *testing.T, n int) []backends.Attempt {
	t.Helper()
	session, all := backends.NewSession(), make([]backends.Attempt, n)
	for i := range all {
		all[i] = backends.Attempt{Key: "pylock:" + t.Name() + ":" + strconv.Itoa(i), Token: session.Token(uint64(i + 1))}
	}
	return all
}

func fastAll(verb backends.Verb, list []backends.Attempt) []*command {
	batch := make([]*command, len(list))
	for i, a := range list {
		batch[i] = fastOf(verb, a)
	}
	return batch
}

// flushes has a flusher send a batch, and again those of it that have to be asked in full.
func flushes(b *Backend, batch []*command) {
	b.batch.mu.Lock()
	b.batch.flushers++
	b.batch.mu.Unlock()
	(&flusher{batcher: b.batch}).flush(append([]*command(nil), batch...))
}

// outcome reads the answer of a command that a flusher has settled.
func outcome(t *testing.T, b *Backend, c *command) (backends.Reply, error) {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(time.Minute):
		t.Fatal("a command was not settled")
	}
	v, f := b.answer(t.Context(), c)
	if f != nil {
		return f.reply()
	}
	return b.read(c, v)
}

// TestQuietKeysShareOneCall: takes, and then frees and takes, and those that are not quiet
// travel again in full.
func TestQuietKeysShareOneCall(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside, b := server.RedisClient(t, nil), faulty(t, &Faults{Addr: server.Addr})
	list := attemptsOf(t, 40)
	inside.Set(t.Context(), list[7].Key, "another's", time.Minute)
	batch := fastAll(backends.Acquiring, list[:20])
	flushes(b, batch)
	for i, c := range batch {
		want := backends.Granted
		if i == 7 {
			want = backends.Held
		}
		if reply, err := outcome(t, b, c); err != nil || reply.Outcome != want || want == backends.Granted && (reply.TTL != time.Minute || reply.Base == 0) {
			t.Errorf("take %d: %+v, %v; want %v", i, reply, err, want)
		}
	}
	for _, a := range []backends.Attempt{list[0], list[19]} {
		if info, err := b.Inspect(t.Context(), a.Key); err != nil || info.Holder == nil || *info.Holder != "tester" {
			t.Errorf("%s: %+v, %v; want the holder's label", a.Key, info, err)
		}
	}
	if batched, full := servertest.Calls(t, inside, "mget"), servertest.Calls(t, inside, "evalsha"); batched != 1 || full > 6 {
		t.Errorf("%d fast calls and %d in all; want 1, and one in full beside repairs and looks", batched, full)
	}
	inside.ConfigResetStat(t.Context())
	batch = append(fastAll(backends.Acquiring, list[20:]), fastAll(backends.Releasing, list[:20])...)
	flushes(b, batch)
	for i, c := range batch {
		reply, err := outcome(t, b, c)
		switch {
		case i < 20 && (err != nil || reply.Outcome != backends.Granted):
			t.Errorf("take %d: %+v, %v", i, reply, err)
		case i == 27 && !backends.IsNotHeld(err), i >= 20 && i != 27 && err != nil:
			t.Errorf("free %d: %v", i-20, err)
		}
	}
	if batched := servertest.Calls(t, inside, "mget"); batched != 1 {
		t.Errorf("%d fast calls, want 1", batched)
	}
	for i, a := range list {
		want := ""
		if i >= 20 {
			want = a.Token.Wire()
		} else if i == 7 {
			want = "another's"
		}
		if got := inside.Get(t.Context(), a.Key).Val(); got != want {
			t.Errorf("%s holds %q, want %q", a.Key, got, want)
		}
	}
}

// TestWhatIsAskedInFullTravelsWithOthers, in front of them, unless its caller has left or the backend was closed.
func TestWhatIsAskedInFullTravelsWithOthers(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	b := faulty(t, &Faults{Addr: server.Addr})
	inside := server.RedisClient(t, nil)
	list := attemptsOf(t, 3)
	for _, a := range list {
		inside.Set(t.Context(), a.Key, "another's", time.Minute)
	}
	(&flusher{batcher: b.batch}).sendAll(fastAll(backends.Acquiring, attemptsOf(t, 4)[3:])) // the script is there
	batch := fastAll(backends.Acquiring, list)
	batch[1].state.Store(left)
	q := b.batch
	q.mu.Lock()
	waits := fastOf(backends.Acquiring, attemptsOf(t, 9)[8])
	waits.state.Store(waiting)
	q.pending = append(q.pending, waits)
	q.mu.Unlock()
	if missing := (&flusher{batcher: q}).round(t.Context(), append([]*command(nil), batch...), bySHA); len(missing) > 0 {
		t.Fatal("the script is missing")
	}
	q.mu.Lock()
	pending := append([]*command(nil), q.pending...)
	q.mu.Unlock()
	if len(pending) != 3 || pending[0] != batch[0] || pending[1] != batch[2] || pending[2] != waits {
		t.Fatalf("%d wait, want the first, the third, and the one that waited", len(pending))
	}
	for _, c := range pending[:2] {
		if c.state.Load() != waiting || c.fast || c.script != scripts.Acquire {
			t.Error("it does not wait to be asked in full")
		}
	}
	_ = b.Close()
	for _, c := range pending {
		if reply, err := outcome(t, b, c); reply.Outcome != backends.NotRun || !errors.Is(err, backends.ErrClosed) {
			t.Errorf("%+v, %v: want not run, closed", reply, err)
		}
	}
	late := fastOf(backends.Acquiring, list[0])
	late.state.Store(waiting)
	q.again([]*command{late})
	if reply, err := outcome(t, b, late); reply.Outcome != backends.NotRun || !errors.Is(err, backends.ErrClosed) {
		t.Errorf("after close: %+v, %v: want not run, closed", reply, err)
	}
}

// TestOneForbiddenKeyRefusesNoOther: the session stops batching for a minute instead.
func TestOneForbiddenKeyRefusesNoOther(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	list := attemptsOf(t, 10)
	rule := []any{"ACL", "SETUSER", "some", "on", ">p", "+@all", "&*"}
	for i, a := range list {
		if i != 4 {
			rule = append(rule, "~"+a.Key, "~{"+a.Key+"}*")
		}
	}
	if err := inside.Do(t.Context(), rule...).Err(); err != nil {
		t.Fatal(err)
	}
	b := New(server.RedisClient(t, &goredis.Options{Username: "some", Password: "p"}), Options{})
	t.Cleanup(func() { _ = b.Close() })
	for _, verb := range []backends.Verb{backends.Acquiring, backends.Releasing} {
		batch := fastAll(verb, list)
		flushes(b, batch)
		for i, c := range batch {
			reply, err := outcome(t, b, c)
			switch {
			case i == 4 && (!backends.IsRefused(err) || reply.Outcome != backends.NotRun):
				t.Errorf("%v of the forbidden key: %+v, %v; want refused", verb, reply, err)
			case i != 4 && (err != nil || verb == backends.Acquiring && reply.Outcome != backends.Granted):
				t.Errorf("%v of key %d: %+v, %v", verb, i, reply, err)
			}
		}
	}
	inside.ConfigResetStat(t.Context())
	batch := fastAll(backends.Acquiring, list[:4])
	flushes(b, batch)
	for _, c := range batch {
		if reply, err := outcome(t, b, c); err != nil || reply.Outcome != backends.Granted {
			t.Errorf("%+v, %v", reply, err)
		}
	}
	if calls := servertest.Calls(t, inside, "mget"); calls != 4 {
		t.Errorf("4 keys took %d calls, want one each", calls)
	}
	if until := b.batch.parted.Load(); time.Until(*until) > time.Minute {
		t.Errorf("it stops until %v", until)
	}
	b.batch.parted.Store(new(time.Now()))
	batch = fastAll(backends.Acquiring, list[5:])
	flushes(b, batch)
	for _, c := range batch {
		if reply, err := outcome(t, b, c); err != nil || reply.Outcome != backends.Granted {
			t.Errorf("a minute later: %+v, %v", reply, err)
		}
	}
	if calls := servertest.Calls(t, inside, "mget"); calls != 5 {
		t.Errorf("a minute later 5 keys took %d calls, want 1", calls-4)
	}
}

// TestWhatWasRefusedTogetherAndNeverSentAgainDidNotRun: the backend is closed before it is.
func TestWhatWasRefusedTogetherAndNeverSentAgainDidNotRun(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	if err := server.RedisClient(t, nil).Do(t.Context(), "ACL", "SETUSER", "some", "on", ">p", "+@all", "&*").Err(); err != nil {
		t.Fatal(err)
	}
	b := New(server.RedisClient(t, &goredis.Options{Username: "some", Password: "p"}), Options{})
	batch := fastAll(backends.Acquiring, attemptsOf(t, 3))
	(&flusher{batcher: b.batch}).sendAll(append([]*command(nil), batch...))
	_ = b.Close()
	for _, c := range batch {
		if reply, err := outcome(t, b, c); reply.Outcome != backends.NotRun || !errors.Is(err, backends.ErrClosed) {
			t.Errorf("%+v, %v: want not run, closed", reply, err)
		}
	}
}

// TestAClusterOfOneNodeTakesAClientOfOneServer: it serves all keys, and only not in one call.
func TestAClusterOfOneNodeTakesAClientOfOneServer(t *testing.T) {
	t.Parallel()
	// Without a peer, a node has to be told its address.
	config := servers.ClusterConfig{Masters: 1, Args: []string{"--cluster-announce-ip", "127.0.0.1"}}
	b := New(servertest.RedisClusterOf(t, config).Nodes[0].RedisClient(t, nil), Options{})
	t.Cleanup(func() { _ = b.Close() })
	list := attemptsOf(t, 10)
	for _, verb := range []backends.Verb{backends.Acquiring, backends.Releasing} {
		batch := fastAll(verb, list)
		flushes(b, batch)
		for i, c := range batch {
			if reply, err := outcome(t, b, c); err != nil || verb == backends.Acquiring && reply.Outcome != backends.Granted {
				t.Errorf("%v of key %d: %+v, %v", verb, i, reply, err)
			}
		}
	}
}

// TestABatchOnAFullServer: frees go through, and takes did not run, also those in one call with frees.
func TestABatchOnAFullServer(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside, b := server.RedisClient(t, nil), faulty(t, &Faults{Addr: server.Addr})
	list := attemptsOf(t, 30)
	held, fresh, behind := list[:10], list[10:20], list[20:]
	batch := fastAll(backends.Acquiring, held)
	flushes(b, batch)
	if err := inside.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	takes := fastAll(backends.Acquiring, fresh)
	flushes(b, takes)
	for i, c := range takes {
		if reply, err := outcome(t, b, c); reply.Outcome != backends.NotRun || !errors.Is(err, backends.OutOfMemory) {
			t.Errorf("take %d: %+v, %v; want not run, out of memory", i, reply, err)
		}
		if inside.Exists(t.Context(), scripts.Keys(fresh[i].Key)...).Val() != 0 {
			t.Errorf("take %d left something", i)
		}
	}
	mixed := append(fastAll(backends.Acquiring, behind), fastAll(backends.Releasing, held)...)
	flushes(b, mixed)
	for i, c := range mixed {
		reply, err := outcome(t, b, c)
		switch {
		case i >= 10 && err != nil:
			t.Errorf("free %d: %v", i-10, err)
		case i < 10 && (reply.Outcome != backends.NotRun || inside.Exists(t.Context(), scripts.Keys(behind[i].Key)...).Val() != 0):
			t.Errorf("take %d beside frees: %+v, %v; want not run, and nothing left", i, reply, err)
		}
	}
	for _, a := range held {
		if inside.Exists(t.Context(), a.Key).Val() != 0 {
			t.Errorf("%s was not freed", a.Key)
		}
	}
}

// TestACutReplyLeavesABatchInDoubt: of a reply that was not read to its end no part counts, and all that it was to
// answer may have run.
func TestACutReplyLeavesABatchInDoubt(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	f := &Faults{Addr: server.Addr}
	b, inside := faulty(t, f), server.RedisClient(t, nil)
	flushes(b, fastAll(backends.Acquiring, attemptsOf(t, 1))) // the script and a connection are there
	inside.FlushDB(t.Context())
	f.Read.Store(new(Cut(func(p []byte) (int, bool) { return len(p) / 2, true })))
	list := attemptsOf(t, 50)
	batch := fastAll(backends.Acquiring, list)
	(&flusher{batcher: b.batch}).sendAll(batch)
	f.Read.Store(nil)
	for i, c := range batch {
		if reply, err := outcome(t, b, c); err == nil || reply.Outcome != backends.MayHaveRun {
			t.Errorf("item %d: %+v, %v; want in doubt", i, reply, err)
		}
		if inside.Get(t.Context(), list[i].Key).Val() != list[i].Token.Wire() {
			t.Errorf("item %d did not run", i)
		}
		if !b.InDoubt(list[i].Key) {
			t.Errorf("item %d will not be ended in full", i)
		}
	}
}

package redis

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// batchOf makes acquires of n keys, and says that a flush took them.
func batchOf(ctx context.Context, t *testing.T, n int) []*command {
	session := backends.NewSession()
	batch := make([]*command, n)
	for i := range batch {
		key := "pylock:" + t.Name() + ":" + strconv.Itoa(i)
		token := session.Token(uint64(i + 1))
		batch[i] = newCommand(scripts.Acquire, key, token.Wire(), "60000", "tester", "0", "0", "1000", "1")
		batch[i].call.Attempt = backends.Attempt{Key: key, Token: token}
		batch[i].deadline, _ = ctx.Deadline()
		batch[i].state.Store(taken)
	}
	return batch
}

// faulty is a backend whose connections f can end. The driver would retry.
func faulty(t *testing.T, f *Faults) *Backend {
	client := goredis.NewClient(&goredis.Options{
		ContextTimeoutEnabled: true, MaxRetries: 3, Dialer: f.Dial, PipelineWriteBufferSize: 4 << 10,
	})
	b := New(client, Options{Owned: true})
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func sendAll(b *Backend, batch []*command) { (&flusher{batcher: b.batch}).sendAll(batch) }

// outcomes judges the commands of a settled batch.
func outcomes(ctx context.Context, t *testing.T, b *Backend, batch []*command) (granted, notRun, mayHaveRun []*command) {
	t.Helper()
	for i, c := range batch {
		select {
		case <-c.done:
		default:
			t.Fatalf("command %d was not settled", i)
		}
		v, err := c.answer()
		if err == nil {
			if l, ok := v.([]any); !ok || len(l) != 6 || l[1] != int64(codeGranted) {
				t.Errorf("command %d: %v", i, v)
			}
			granted = append(granted, c)
			continue
		}
		if b.judge(ctx, c.script, c.texts[0], err, c.written.Load()).outcome == backends.NotRun {
			notRun = append(notRun, c)
		} else {
			mayHaveRun = append(mayHaveRun, c)
		}
	}
	return granted, notRun, mayHaveRun
}

func holds(t *testing.T, client *goredis.Client, c *command) bool {
	t.Helper()
	return client.Get(t.Context(), c.texts[0]).Val() == c.texts[scripts.KeyCount]
}

func TestAnAnswerStandsWhenTheConnectionBreaksBehindIt(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	f := &Faults{Addr: server.Addr}
	b := faulty(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sendAll(b, batchOf(ctx, t, 2)) // the script and a connection are there
	inside.FlushDB(ctx)
	inside.ConfigResetStat(ctx)

	var left atomic.Int64
	left.Store(1000)
	f.Read.Store(new(Cut(func(p []byte) (int, bool) {
		rest := left.Add(int64(-len(p)))
		for rest <= 0 && servertest.Calls(t, inside, "evalsha") < 100 && ctx.Err() == nil {
			// A reset makes the server forget what it has not read yet.
			runtime.Gosched()
		}
		if rest <= 0 {
			f.Read.Store(nil) // a repeat would get through
		}
		return max(0, len(p)+int(min(rest, 0))), rest <= 0
	})))
	batch := batchOf(ctx, t, 100)
	sendAll(b, batch)

	granted, notRun, mayHaveRun := outcomes(ctx, t, b, batch)
	if len(granted) == 0 || len(mayHaveRun) == 0 || len(notRun) > 0 {
		t.Errorf("%d granted, %d may have run, %d did not; want some, the rest, none", len(granted), len(mayHaveRun), len(notRun))
	}
	for _, c := range batch {
		if !holds(t, inside, c) {
			t.Error("a request was not executed, though all were written")
		}
	}
	if calls := servertest.Calls(t, inside, "evalsha"); calls != 100 {
		t.Errorf("%d scripts were sent, want 100: the driver must not repeat a pipeline", calls)
	}
}

func TestWhatWasNotWrittenDidNotRun(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	f := &Faults{Addr: server.Addr}
	b := faulty(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sendAll(b, batchOf(ctx, t, 2))
	inside.FlushDB(ctx)
	inside.ConfigResetStat(ctx)

	var left atomic.Int64
	left.Store(10_000)
	f.Write.Store(new(Cut(func(p []byte) (int, bool) {
		rest := left.Add(int64(-len(p)))
		return max(0, len(p)+int(min(rest, 0))), rest <= 0
	})))
	batch := batchOf(ctx, t, 100)
	sendAll(b, batch)
	f.Write.Store(nil)

	granted, notRun, mayHaveRun := outcomes(ctx, t, b, batch)
	if len(granted) > 0 || len(notRun) == 0 || len(mayHaveRun) == 0 {
		t.Errorf("%d granted, %d may have run, %d did not; want none, some, the rest", len(granted), len(mayHaveRun), len(notRun))
	}
	for _, c := range notRun {
		if holds(t, inside, c) {
			t.Error("a command that did not run has the lock")
		}
	}
}

func TestOnlyCommandsWhoseScriptIsMissingAreSentAgain(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	b := faulty(t, &Faults{Addr: server.Addr})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	warm := batchOf(ctx, t, 1)
	sendAll(b, warm) // acquire is known from here on, cancel is not
	inside.FlushDB(ctx)
	inside.ConfigResetStat(ctx)

	batch := batchOf(ctx, t, 10)
	for i := range 5 {
		c := newCommand(scripts.Cancel, "pylock:other:"+strconv.Itoa(i), batch[i].texts[scripts.KeyCount], "1", "1")
		c.deadline, _ = ctx.Deadline()
		c.state.Store(taken)
		batch = append(batch, c)
	}
	sendAll(b, batch)
	for i, c := range batch {
		if v, err := c.answer(); err != nil {
			t.Errorf("command %d: %v, %v", i, v, err)
		}
	}
	// 15 by SHA, of which 5 missed; then one EVAL, and 4 by SHA again.
	if calls := servertest.Calls(t, inside, "evalsha"); calls != 19 {
		t.Errorf("%d scripts by SHA, want 19", calls)
	}
}

// A scriptFlusher flushes the server's scripts behind every single command, however long
// that takes: a batch may take 2 s, and these are some hundred round trips.
type scriptFlusher struct{ server *goredis.Client }

func (scriptFlusher) DialHook(next goredis.DialHook) goredis.DialHook          { return next }
func (scriptFlusher) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook { return next }

func (f scriptFlusher) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, list []goredis.Cmder) (first error) {
		ctx = context.WithoutCancel(ctx)
		for _, cmd := range list {
			if err := next(ctx, []goredis.Cmder{cmd}); first == nil {
				first = err
			}
			if err := f.server.ScriptFlush(ctx).Err(); first == nil {
				first = err
			}
		}
		return first
	}
}

func TestScriptsFlushedBehindEveryCommandAreBroughtAlong(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	patient := func() *goredis.Client { return server.RedisClient(t, &goredis.Options{ReadTimeout: time.Minute}) }
	client := patient()
	client.AddHook(scriptFlusher{patient()})
	b := New(client, Options{})
	t.Cleanup(func() { _ = b.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	batch := batchOf(ctx, t, 20)
	sendAll(b, batch)
	if granted, _, _ := outcomes(ctx, t, b, batch); len(granted) != len(batch) {
		t.Errorf("%d of %d were granted", len(granted), len(batch))
	}
}

func TestABatchLastsAsLongAsItsMostPatientCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, latestOfBatches)
}

func latestOfBatches(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) *command { return &command{deadline: now.Add(d)} }
	for _, row := range []struct {
		batch []*command
		want  time.Duration
	}{
		{[]*command{in(time.Second), in(time.Millisecond)}, time.Second},
		{[]*command{in(time.Millisecond), in(time.Minute)}, callBudget},
		{[]*command{in(time.Millisecond), {}}, callBudget},
	} {
		if got := latest(row.batch).Sub(now); got != row.want {
			t.Errorf("%v, want %v", got, row.want)
		}
	}
}

// TestRenewalsGoFirst: a renewal, on which a lease depends, does not stand behind
// commands that only wait, nor behind later renewals.
func TestRenewalsGoFirst(t *testing.T) {
	synctest.Test(t, renewalsFirst) // or those that wait for long would be sent
}

func renewalsFirst(t *testing.T) {
	q := newBatcher(nil)
	defer q.close()
	q.alone = 0 // nobody sends; all of them wait
	verbs := []*scripts.Script{scripts.Acquire, scripts.Renew, scripts.Acquire, scripts.Release, scripts.Renew}
	var order []string
	names := make(map[*command]string)
	for range 2 { // the second time after some were taken
		for i, s := range verbs {
			c := newCommand(s, "k", strconv.Itoa(i))
			names[c] = s.Name + strconv.Itoa(i)
			if q.join(c) {
				t.Fatal("it went alone")
			}
		}
		q.mu.Lock()
		for _, c := range q.takeLocked(nil) {
			order = append(order, names[c])
			c.refuse()
		}
		q.mu.Unlock()
	}
	want := strings.Repeat(" renew1 renew4 acquire0 acquire2 release3", 2)[1:]
	if got := strings.Join(order, " "); got != want {
		t.Errorf("they travel as %s; want %s", got, want)
	}
}

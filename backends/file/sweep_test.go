//go:build linux || darwin

package file

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// files are the names in the backend's directory that begin with prefix.
func files(t *testing.T, b *Backend, prefix string) []string {
	t.Helper()
	all, err := b.dir.list()
	if err != nil {
		t.Fatal(err)
	}
	var some []string
	for _, file := range all {
		if strings.HasPrefix(file, prefix) {
			some = append(some, file)
		}
	}
	return some
}

// backdate makes a file look as if it had been idle for d: its time, and what
// the record says.
func backdate(t *testing.T, b *Backend, key string, d time.Duration) {
	t.Helper()
	err := b.change(t.Context(), key, true, func(r *record, _ int64) bool {
		r.last -= uint64(d.Microseconds())
		r.shift(-d.Microseconds())
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	b.watcher.mu.Lock() // or it would be put back
	if h, ok := b.watcher.held[key]; ok {
		h.lease.ends -= d.Microseconds()
		b.watcher.held[key] = h
	}
	b.watcher.mu.Unlock()
	old(t, filepath.Join(b.dir.path, recordName(key)), d)
}

func old(t *testing.T, path string, d time.Duration) {
	t.Helper()
	then := time.Now().Add(-d)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func TestSweepRemovesWhatIsIdleAndNothingElse(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	for _, tt := range []struct {
		key     string
		release bool
		ttl     time.Duration
		age     time.Duration
		stays   bool
	}{
		{"released long ago", true, time.Minute, 2 * keep, false},
		{"released just now", true, time.Minute, keep / 2, true},
		{"held", false, time.Hour, 2 * keep, true},
		{"expired long ago", false, time.Millisecond, 2 * keep, false},
		{"expired just now", false, keep, keep + keep/2, true},
	} {
		r := c.request(tt.key)
		r.TTL = tt.ttl
		take(t, b, r)
		if tt.release {
			if err := b.Release(t.Context(), r.Attempt); err != nil {
				t.Fatal(err)
			}
		}
		backdate(t, b, tt.key, tt.age)
		b.sweep()
		_, err := os.Stat(filepath.Join(b.dir.path, recordName(tt.key)))
		if (err == nil) != tt.stays {
			t.Errorf("%s: %v", tt.key, err)
		}
	}
}

// TestSweepKeepsABaseFromTheFuture: the wall clock was stepped back, and the
// record alone knows what the next base has to exceed.
func TestSweepKeepsABaseFromTheFuture(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	r := c.request("k")
	take(t, b, r)
	if err := b.Release(t.Context(), r.Attempt); err != nil {
		t.Fatal(err)
	}
	backdate(t, b, "k", -time.Hour)
	old(t, filepath.Join(b.dir.path, recordName("k")), 2*keep)
	b.sweep()
	future := uint64(time.Now().Add(50 * time.Minute).UnixMicro())
	if reply := take(t, b, c.request("k")); reply.Base < future {
		t.Errorf("base %d forgets one of %d", reply.Base, future)
	}
}

func TestSweepRemovesDeadSessionsOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	dead := sessionPrefix + strings.Repeat("0", 32)
	foreign := "s-readme"
	for _, file := range []string{dead, foreign} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files(t, a, "") {
		old(t, filepath.Join(dir, file), 2*keep)
	}
	a.sweep()
	left := strings.Join(files(t, a, ""), " ")
	for file, stays := range map[string]bool{dead: false, foreign: true, a.session.name: true, b.session.name: true} {
		if strings.Contains(left, file) != stays {
			t.Errorf("%s: want kept %t", file, stays)
		}
	}
}

// TestOneOffKeysLeaveNothingBehind: a sweep is bounded, and goes on where the
// last one stopped: behind many keys that stay, the idle ones are found, too.
func TestOneOffKeysLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	const keys, idle = 500, 50
	for n := range keys {
		r := c.request(fmt.Sprint(n))
		take(t, b, r)
		if n >= idle {
			continue
		}
		if err := b.Release(t.Context(), r.Attempt); err != nil {
			t.Fatal(err)
		}
		backdate(t, b, r.Key, 2*keep)
	}
	for range 2*keys/sweepNames + 2 {
		b.sweep()
	}
	if left := files(t, b, recordPrefix); len(left) != keys-idle {
		t.Errorf("%d records are left of %d that are held", len(left), keys-idle)
	}
}

// TestALockOnAnUnlinkedRecordIsNotTaken plays the race with the cleaner by
// hand: a call has opened the record and waits; then it is unlinked.
func TestALockOnAnUnlinkedRecordIsNotTaken(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	file := recordName("k")
	fd, err := b.lock(t.Context(), file, true)
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := b.dir.open(file, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock(waiting)
	if err := b.dir.unlink(file); err != nil {
		t.Fatal(err)
	}
	unlock(fd)
	if locked, err := tryFlock(waiting, unix.LOCK_EX); err != nil || !locked {
		t.Fatal("the old inode can be locked, as it could in a call")
	}
	if same, err := b.dir.names(file, waiting); err != nil || same {
		t.Errorf("without a name: same %t, %v", same, err)
	}
	var c claims
	take(t, b, c.request("k"))
	if same, err := b.dir.names(file, waiting); err != nil || same {
		t.Errorf("with another record under the name: same %t, %v", same, err)
	}
}

// TestNoLeaseIsLostToTheCleaner lets one remove records, under their flocks
// as a sweep does, while others take and release their key.
func TestNoLeaseIsLostToTheCleaner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cleaner := open(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	var sweeping, working sync.WaitGroup
	sweeping.Go(func() { // stopped by ctx; waited for below
		for ctx.Err() == nil {
			fd, err := cleaner.tryLock(recordName("k"), false)
			if err != nil || fd < 0 {
				continue
			}
			if r, err := cleaner.read(fd); err == nil && r != nil && r.lease.none() && len(r.queue) == 0 {
				_ = cleaner.dir.unlink(recordName("k"))
			}
			unlock(fd)
			time.Sleep(rand.N(300 * time.Microsecond)) // so that calls get through at all
		}
	})
	inside := make(chan struct{}, 1)
	for range 3 {
		b := open(t, dir)
		working.Go(func() { // stopped by its rounds; waited for below
			var c claims
			for range 200 {
				r := c.request("k")
				if err := await(b, r, time.Minute); err != nil {
					t.Error(err)
					return
				}
				select {
				case inside <- struct{}{}:
					<-inside
				default:
					t.Error("two hold the key")
				}
				if err := b.Release(context.Background(), r.Attempt); err != nil {
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
	stop()
	sweeping.Wait()
}

// TestACancelBeatsAnAcquireThatStillWaits: the acquire waits for the flock,
// its attempt is cancelled meanwhile, and then the flock is free.
func TestACancelBeatsAnAcquireThatStillWaits(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	r := c.request("k")
	fd, err := b.lock(t.Context(), recordName("k"), true)
	if err != nil {
		t.Fatal(err)
	}
	outcome := make(chan error, 1)
	go func() { // stopped by its one call; waited for below
		reply, err := b.Acquire(context.Background(), r)
		if reply.Outcome == backends.Granted {
			err = fmt.Errorf("granted")
		}
		outcome <- err
	}()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := b.Cancel(ctx, r.Attempt); err == nil {
		t.Error("a cancel that can't look at the record says that nothing is left")
	}
	unlock(fd)
	if err := <-outcome; err != backends.ErrSettled {
		t.Errorf("the acquire: %v", err)
	}
	if err := b.Cancel(t.Context(), r.Attempt); err != nil {
		t.Error(err)
	}
	take(t, b, c.request("k"))
}

func TestSettledAttemptsAreForgottenInTime(t *testing.T) {
	t.Parallel()
	var s settled
	session := backends.NewSession()
	a := backends.Attempt{Key: "k", Token: session.Token(5)}
	s.add(a)
	for n, want := range map[uint64]bool{4: true, 5: true, 6: false} {
		if got := s.has(backends.Attempt{Key: "k", Token: session.Token(n)}); got != want {
			t.Errorf("attempt %d: settled %t", n, got)
		}
	}
	for age, want := range map[time.Duration]bool{keep / 2: true, keep + time.Second: true, 2*keep + time.Second: false} {
		s.now, s.old = map[settledKey]uint64{{a.Key, session}: 5}, nil
		s.turned = time.Now().Add(-age)
		s.add(backends.Attempt{Key: "other", Token: session.Token(6)})
		if got := s.has(a); got != want {
			t.Errorf("settled %v ago: %t", age, got)
		}
	}
}

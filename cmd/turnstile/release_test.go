package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// A heldKey is a key with one holder, which does not let go before its lease is over.
type heldKey struct {
	holder  string // empty: another library's client
	ends    time.Time
	endless bool          // or the end is unknown
	stays   bool          // it is there after its end as well
	letsGo  time.Duration // how long after it was told to; 0: never
	told    time.Time
	broken  error // the error of inspecting it after the revocation
	base    uint64

	revocations []lockclient.Revocation
}

func (k *heldKey) Inspect(ctx context.Context, key string) (lockclient.Info, error) {
	if len(k.revocations) > 0 && k.broken != nil {
		return lockclient.Info{}, k.broken
	}
	i := lockclient.Info{Key: key, Held: k.endless || k.stays || time.Now().Before(k.ends)}
	if k.letsGo != 0 && !k.told.IsZero() && time.Since(k.told) >= k.letsGo {
		i.Held = false
	}
	if !i.Held {
		return i, ctx.Err()
	}
	fence := k.base << 10
	i.Fence = &fence // a foreign key, too, can have that of the hold before
	if i.Foreign = k.holder == ""; !i.Foreign {
		i.Holder, i.Revoked = &k.holder, len(k.revocations) > 0
	}
	if !k.endless {
		rest := max(time.Until(k.ends), 0)
		i.ExpiresIn = &rest
	}
	return i, ctx.Err()
}

func (k *heldKey) Revoke(_ context.Context, _ string, r lockclient.Revocation) (lockclient.Revoked, error) {
	k.revocations = append(k.revocations, r)
	k.told = time.Now()
	switch {
	case r.Fence != 0 && r.Fence>>10 != k.base:
		return lockclient.Superseded, nil
	case r.Now:
		return lockclient.Deleted, nil
	case k.holder == "":
		return lockclient.Foreign, nil
	}
	return lockclient.Marked, nil
}

// releaseOf is a release of a key k, answered with an answer.
func releaseOf(k *heldKey, answer string) (v *revocation, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	s := settings{backend: "redis://h:1", stdout: stdout, stderr: stderr, log: slog.New(slog.DiscardHandler)}
	v = &revocation{release: &release{settings: s, key: "k", yes: answer == ""}, client: k, in: strings.NewReader(answer)}
	return v, stdout, stderr
}

func TestReleaseWaitsForAHolderThatDoesNotAnswer(t *testing.T) {
	for _, row := range []struct {
		name  string
		key   heldKey
		left  time.Duration // of its lease
		lasts time.Duration
		code  int
		says  string // the end
		tells string // meanwhile
	}{
		{"silent", heldKey{holder: "a:1"}, 24 * time.Second, 24 * time.Second, exitLost,
			"k is free, since its lease ran out after 24s: a:1 did not let go", "a:1 was told to stop, and has not let go yet: its lease ends in 2"},
		{"silent, and gone before anybody asks", heldKey{holder: "a:1"}, time.Second, time.Second, exitLost, "k is free, since its lease ran out after 1s: a:1 did not let go", ""},
		{"it lets go late", heldKey{holder: "a:1", letsGo: 3 * time.Second}, 4 * time.Second, 3 * time.Second, 0, "k was let go by a:1 after 3s", "a:1 was told to stop"},
		{"it stays beyond its lease", heldKey{holder: "a:1", stays: true}, 9 * time.Second, 10 * time.Second, exitConflict,
			"k is still held by a:1", "a:1 was told to stop"},
		{"nobody can tell when its lease ends", heldKey{holder: "a:1", endless: true}, 0, time.Minute + past, exitConflict, "k is still held by a:1", "ends in -"},
		{"another library's", heldKey{}, 5 * time.Second, 5 * time.Second, exitLost,
			"k is free, since its lease ran out after 5s: another library's client did not let go", "can't be told to stop: its key ends in 5s; --now deletes it"},
		{"another library's, for good", heldKey{endless: true}, 0, 0, exitConflict, "whose key has no end: --now deletes it", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := row.key
				k.ends = time.Now().Add(row.left)
				v, stdout, stderr := releaseOf(&k, "")
				begin := time.Now()
				err := v.run(t.Context())
				if took := time.Since(begin); took < row.lasts || took > row.lasts+2*lookEvery {
					t.Errorf("took %v, want %v", took, row.lasts)
				}
				said := stdout.String()
				if err != nil {
					said = oneLine(err)
				}
				if codeOf(err) != row.code || !strings.Contains(said, row.says) {
					t.Errorf("code %d, %q; want %d, %q", codeOf(err), said, row.code, row.says)
				}
				if told := stderr.String(); !strings.Contains(told, row.tells) || strings.Count(told, "\n") > 1 || (told != "") != (row.tells != "") {
					t.Errorf("told meanwhile: %q, want one line with %q", told, row.tells)
				}
			})
		})
	}
}

// An interrupt leaves at once, wherever it comes; what was said to the holder is
// not taken back, and whoever interrupted has to know.
func TestAnInterruptedReleaseSaysWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _, _ := releaseOf(&heldKey{holder: "a:1", ends: time.Now().Add(time.Hour)}, "")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1234*time.Millisecond, func() { cancel(&interrupt{syscall.SIGINT}) })
		begin := time.Now()
		err := v.run(ctx)
		if took := time.Since(begin); codeOf(err) != exitSignal+2 || took != 1234*time.Millisecond {
			t.Errorf("code %d after %v", codeOf(err), took)
		}
		if !strings.Contains(err.Error(), "k: it stays revoked") {
			t.Errorf("it says %q", err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // while the question stands
		k := &heldKey{holder: "a:1", endless: true}
		v, _, stderr := releaseOf(k, "?")
		never, end := io.Pipe()
		defer end.Close()
		v.in = never
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(&interrupt{syscall.SIGTERM}) })
		var e *exitError
		if err := v.run(ctx); codeOf(err) != exitSignal+15 || !errors.As(err, &e) || e.err != nil || len(k.revocations) != 0 {
			t.Errorf("%v, revoked %v; want 143, nothing said and nothing done", err, k.revocations)
		}
		if !strings.HasSuffix(stderr.String(), "\n") {
			t.Error("the prompt comes on the line of the question")
		}
	})
}

func TestABackendThatFailsMeanwhileDoesNotHideWhatWasDone(t *testing.T) {
	v, _, _ := releaseOf(&heldKey{holder: "a:1", endless: true, broken: lockclient.ErrUnavailable}, "")
	if err := v.run(t.Context()); codeOf(err) != exitUnavailable || !strings.Contains(oneLine(err), "redis://h:1") || !strings.Contains(err.Error(), "stays revoked") {
		t.Errorf("%d, %v", codeOf(err), err)
	}
}

// Whoever is asked has seen one holder, and means that one: not the next, who may
// have come while the question stood.
func TestAnAnswerMeansTheHolderThatWasShown(t *testing.T) {
	for _, row := range []struct {
		name, answer string
		holder       string
		fence        uint64 // of --fence
		code         int
		want         []lockclient.Revocation
		asks         string
	}{
		{"yes", "y\n", "a:1", 0, 0, []lockclient.Revocation{{Fence: 7 << 10}}, "k is held by a:1 (fence 7168). Tell it to stop? [y/N] "},
		{"YES", "YES \n", "a:1", 0, 0, []lockclient.Revocation{{Fence: 7 << 10}}, "[y/N]"},
		{"a fence of one's own", "y\n", "a:1", 7<<10 + 1, 0, []lockclient.Revocation{{Fence: 7<<10 + 1}}, ""},
		{"a foreign holder has none", "y\n", "", 0, exitLost, nil, "k is held by another library's client. It can't be told to stop. Wait until its key ends? [y/N] "},
		{"no", "n\n", "a:1", 0, exitConflict, nil, ""},
		{"anything else", "yep\n", "a:1", 0, exitConflict, nil, ""},
		{"nothing", "\n", "a:1", 0, exitConflict, nil, ""},
		{"the end of input", "\x04", "a:1", 0, exitConflict, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &heldKey{holder: row.holder, base: 7, ends: time.Now().Add(time.Second), letsGo: time.Second / 2}
				v, _, stderr := releaseOf(k, row.answer)
				v.fence = row.fence
				if err := v.run(t.Context()); codeOf(err) != row.code {
					t.Errorf("%v, want %d", err, row.code)
				}
				if len(k.revocations) != len(row.want) || len(row.want) == 1 && k.revocations[0] != row.want[0] {
					t.Errorf("revoked %v, want %v", k.revocations, row.want)
				}
				if !strings.Contains(stderr.String(), row.asks) {
					t.Errorf("asked %q, want %q", stderr, row.asks)
				}
			})
		})
	}
}

// A takeover is an answer that comes when another holder has.
type takeover struct {
	key *heldKey
	io.Reader
}

func (t takeover) Read(p []byte) (int, error) {
	t.key.holder = "b:2"
	return t.Reader.Read(p)
}

// A foreign holder has no fence, by which the next one could be told from it.
func TestAnAnswerAboutAForeignHolderMeansNoOther(t *testing.T) {
	for _, now := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			k := &heldKey{base: 7, ends: time.Now().Add(time.Second)}
			v, _, _ := releaseOf(k, "?")
			v.now, v.in = now, takeover{k, strings.NewReader("y\n")}
			err := v.run(t.Context())
			if codeOf(err) != exitConflict || len(k.revocations) != 0 || !strings.Contains(err.Error(), "but by b:2") {
				t.Errorf("now %v: %v, revoked %v; want nothing revoked", now, err, k.revocations)
			}
		})
	}
}

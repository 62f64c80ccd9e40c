//go:build linux || darwin

package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// sharedBy is a key that several hold, with fences 1024, 2048, …
func sharedBy(kind lockclient.Kind, names ...string) lockclient.Info {
	i := lockclient.Info{Key: "k", Held: true, Kind: kind, Out: len(names), Holder: &names[0], HeldFor: ptr(4 * time.Second), Processes: ptr(0)}
	for n, name := range names {
		h := lockclient.Holder{Label: &name, Fence: uint64(n+1) << 10, HeldFor: ptr(time.Duration(n+1) * time.Second), ExpiresIn: ptr(time.Duration(n+10) * time.Second)}
		if kind == lockclient.KindSlots {
			h.Slots, i.Slots = n+1, 9
		}
		i.Holders = append(i.Holders, h)
	}
	return i
}

func TestWhoHoldsAKeyTogetherIsSaid(t *testing.T) {
	two, slots := sharedBy(lockclient.KindShared, "a:1", "b:2"), sharedBy(lockclient.KindSlots, "a:1", "b:2", "c:3")
	slots.Out = 6
	lone := sharedBy(lockclient.KindShared, "a:1")
	two.Waiters = []lockclient.Waiter{{Label: ptr("w:1"), For: ptr(time.Second), Kind: lockclient.KindShared}, {Label: ptr("w:2"), Kind: lockclient.KindSlots, Slots: 3}, {Label: ptr("w:3")}}
	unknownLimit := slots
	unknownLimit.Slots = 0
	for want, got := range map[string]string{
		"held shared by 2 for 4s, one of them a:1, 0 waiting": who(two) + since(two) + ", 0 waiting",
		"held shared for 4s, by a:1":                          who(lone) + since(lone),
		"6 slots held for 4s, one of them a:1":                who(slots) + since(slots),
		"shared by 2":                                         kindOf(two),
		"slots 6 of 9":                                        kindOf(slots),
		"slots 6":                                             kindOf(unknownLimit),
		"exclusive":                                           kindOf(lockclient.Info{Held: true}),
		unknown:                                               kindOf(lockclient.Info{Held: true, Resting: true}),
		"a:1 (fence 1024, for 1s, expires in 10s)\nb:2 (fence 2048, 2 slots, for 2s, expires in 11s)\nc:3 (fence 3072, 3 slots, for 3s, expires in 12s)": strings.Join(holderLines(slots), "\n"),
		"w:1 for 1s, to share\nw:2, for one of 3 slots\nw:3": waiterOf(two.Waiters[0]) + "\n" + waiterOf(two.Waiters[1]) + "\n" + waiterOf(two.Waiters[2]),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	evil := sharedBy(lockclient.KindShared, "a\x1b[2J\n", "b")
	why := &lockclient.WaitError{Key: "k", Kind: lockclient.KindShared, Out: 2, Holder: "a\x1b[2J\n", HeldFor: time.Second}
	if s := portrait(evil) + since(evil) + sketch(evil) + new(plan).late(why); strings.Contains(s, "\x1b") || strings.Contains(s, "J\n") {
		t.Errorf("%q reaches the terminal", s)
	}
}

// A plan that could hold the key beside its parent doesn't wait for it.
func TestAPlanKnowsWhatItWaitsFor(t *testing.T) {
	shared, slots := sharedBy(lockclient.KindShared, "a"), sharedBy(lockclient.KindSlots, "a", "b")
	queued := shared
	queued.Processes = ptr(1)
	for _, row := range []struct {
		plan plan
		info lockclient.Info
		want bool
	}{
		{plan{}, shared, true}, {plan{}, lockclient.Info{Held: true, Processes: ptr(0)}, true},
		{plan{shared: true}, shared, false}, {plan{shared: true}, queued, true}, {plan{shared: true}, slots, true},
		{plan{slots: 2}, slots, true}, {plan{slots: 3}, slots, false}, {plan{slots: 3}, shared, true},
	} {
		if got := row.plan.waitsFor(row.info); got != row.want {
			t.Errorf("%+v of %v: %v", row.plan, kindOf(row.info), got)
		}
	}
}

// A togetherKey is held by several, each of which lets go so long after it was told.
type togetherKey struct {
	info   lockclient.Info
	letsGo map[uint64]time.Duration // by fence; 0: never, its lease ends
	told   map[uint64]time.Time
	begin  time.Time
	asked  []uint64
}

func (k *togetherKey) Inspect(ctx context.Context, key string) (lockclient.Info, error) {
	i := k.info
	i.Holders, i.Revoked = nil, true
	for _, h := range k.info.Holders {
		rest := *h.ExpiresIn - time.Since(k.begin)
		at, told := k.told[h.Fence]
		if rest <= 0 || told && k.letsGo[h.Fence] > 0 && time.Since(at) >= k.letsGo[h.Fence] {
			continue
		}
		h.ExpiresIn, h.Revoked = &rest, told
		i.Revoked = i.Revoked && told
		i.Holders = append(i.Holders, h)
	}
	if i.Out = len(i.Holders); i.Out == 0 {
		return lockclient.Info{Key: key}, ctx.Err()
	}
	return i, ctx.Err()
}

func (k *togetherKey) Revoke(_ context.Context, _ string, r lockclient.Revocation) (lockclient.Revoked, error) {
	k.asked = append(k.asked, r.Fence)
	found := lockclient.Superseded
	for _, h := range k.info.Holders {
		if r.Fence == 0 || r.Fence == h.Fence {
			k.told[h.Fence] = time.Now()
			found = lockclient.Marked
		}
	}
	return found, nil
}

func TestReleaseOfAKeyThatSeveralHold(t *testing.T) {
	for _, row := range []struct {
		name         string
		fence        uint64
		answer       string
		a, b         time.Duration
		asked        int
		lasts        time.Duration
		code         int
		says, tells  string
		othersRemain bool
	}{
		{"all", 0, "", time.Second, 500 * time.Millisecond, 1, time.Second, 0, "k was let go by 2 holders after 1s", "", false},
		{"all, of whom one is silent", 0, "", time.Second, 0, 1, 11 * time.Second, exitLost, "k is free, since its lease ran out after 11s: 2 holders did not let go", "b was told to stop, and has not let go yet: its lease ends in", false},
		{"one", 1024, "", time.Second, 0, 1, time.Second, 0, "k was let go by a after 1s", "", true},
		{"one that is silent", 1024, "", 0, 0, 1, 10 * time.Second, exitLost, "k is free, since its lease ran out after 10s: a did not let go", "a was told to stop", true},
		{"nobody's", 4096, "", 0, 0, 1, 0, exitConflict, "k is no longer held under fence 4096, but by 2 holders", "", true},
		{"those that were shown", 0, "y\n", time.Second, time.Second, 2, time.Second, 0, "k was let go by 2 holders after 1s", "k: held shared by 2\n  a (fence 1024, for 1s, expires in 10s)\n  b (fence 2048, for 2s, expires in 11s)\nTell them to stop? [y/N] ", false},
		{"one that was shown", 2048, "y\n", 0, time.Second, 1, time.Second, 0, "k was let go by b after 1s", "k is held by b (fence 2048, for 2s). Tell it to stop? [y/N] ", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &togetherKey{
					info: sharedBy(lockclient.KindShared, "a", "b"), begin: time.Now(), told: map[uint64]time.Time{},
					letsGo: map[uint64]time.Duration{1024: row.a, 2048: row.b},
				}
				v, stdout, stderr := releaseOf(nil, row.answer)
				v.client, v.fence = k, row.fence
				err := v.run(t.Context())
				if took := time.Since(k.begin); took < row.lasts || took > row.lasts+2*lookEvery {
					t.Errorf("took %v, want %v", took, row.lasts)
				}
				said := stdout.String()
				if err != nil {
					said = oneLine(err)
				}
				if codeOf(err) != row.code || !strings.Contains(said, row.says) || len(k.asked) != row.asked {
					t.Errorf("code %d, %q, asked %v; want %d, %q", codeOf(err), said, k.asked, row.code, row.says)
				}
				if told := stderr.String(); !strings.Contains(told, row.tells) || (told != "") != (row.tells != "") {
					t.Errorf("told meanwhile: %q, want %q", told, row.tells)
				}
				if left := len(k.told) < 2; left != row.othersRemain {
					t.Errorf("told: %v", k.told)
				}
			})
		})
	}
}

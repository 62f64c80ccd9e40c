package redis_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// aclPage is the page that says which rules a user needs.
const aclPage = "../../docs/backend-redis.md"

// aclRule returns the page's grants for a user, as arguments of ACL SETUSER.
func aclRule(t testing.TB, which string) []any {
	t.Helper()
	readme, err := os.ReadFile(aclPage)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\nredis-cli (ACL SETUSER " + which + " .*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatalf("the page has no rule for %s", which)
	}
	return anys(strings.Fields(strings.NewReplacer("\\\n", " ", "'", "").Replace(string(block[1]))))
}

// listingRule returns the page's further grants, for lists.
func listingRule(t testing.TB) []string {
	t.Helper()
	readme, err := os.ReadFile(aclPage)
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile("`turnstile ls` \\| `([^`]*)`").FindSubmatch(readme)
	if said == nil {
		t.Fatal("the page has no rule for lists")
	}
	return strings.Fields(string(said[1]))
}

// exercise does all that a session does with a lock, beside another session, and
// wants pushes to arrive. Each key is that of a user's.
func exercise(t testing.TB, a, b *session, keys ...string) {
	t.Helper()
	for _, key := range keys {
		first := a.request(key)
		reply := mustGrant(t, a, first)
		second, held := b.waits(t, key)
		a.woken(t, backends.Wake{Key: key, Kind: backends.Wanted})
		if _, err := a.Renew(bounded(t), first.Attempt, first.TTL, reply.Base); err != nil {
			t.Fatalf("renew: %v", err)
		}
		if _, err := a.Inspect(bounded(t), key); err != nil {
			t.Fatalf("inspect: %v", err)
		}
		b.drain()
		a.release(t, first)
		b.woken(t, backends.Wake{Key: key, Kind: backends.Given})
		b.follow(t, second, held)
		third, _ := a.waits(t, key)
		if err := a.Cancel(bounded(t), third.Attempt); err != nil {
			t.Fatalf("cancel: %v", err)
		}
		mustRevoke(t, a.Backend, key, backends.Revocation{}, backends.Marked)
		b.woken(t, backends.Wake{Key: key, Kind: backends.Revoking})
		b.release(t, second)
		fourth := a.request(key)
		mustGrant(t, a, fourth)
		mustRevoke(t, b.Backend, key, backends.Revocation{Now: true}, backends.Deleted)
		exerciseShares(t, a, b, key)
	}
}

func exerciseShares(t testing.TB, a, b *session, key string) {
	t.Helper()
	first, second := permits(a.request(key), 3, 2), permits(b.request(key), 3, 1)
	base := mustGrant(t, a, first).Base
	mustGrant(t, b, second)
	wantHeld(t, b, b.request(key), backends.Slots, 3)
	a.woken(t, backends.Wake{Key: key, Kind: backends.Wanted})
	mustKeep(t, a.Backend, keeps(first, 1), base)
	if info, err := a.Inspect(bounded(t), key); err != nil || len(info.Holders) != 2 {
		t.Fatalf("inspect: %+v, %v", info, err)
	}
	b.drain()
	mustRevoke(t, a.Backend, key, backends.Revocation{}, backends.Marked)
	b.woken(t, backends.Wake{Key: key, Kind: backends.Revoking})
	b.release(t, second)
	mustRevoke(t, b.Backend, key, backends.Revocation{Now: true}, backends.Deleted)
}

// userKeys are keys of every form that companions have.
func userKeys(t testing.TB) []string {
	key := newKey(t)
	return []string{key, key + "{tag}", key + "{}"}
}

func TestTheRuleInTheDocsIsEnough(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	if err := inside.Do(bounded(t), aclRule(t, "turnstile")...).Err(); err != nil {
		t.Fatal(err)
	}
	as := "redis://turnstile:PASSWORD@" + server.Addr
	exercise(t, newSession(t, as), newSession(t, as), userKeys(t)...)
	listing := newSession(t, as)
	if _, err := listing.List(bounded(t), "pylock:"); !backends.IsRefused(err) {
		t.Errorf("list: %v, want refused: the page says that it takes more", err)
	}
	if err := inside.Do(bounded(t), append(anys([]string{"ACL", "SETUSER", "turnstile"}), anys(listingRule(t))...)...).Err(); err != nil {
		t.Fatal(err)
	}
	held := listing.request(newKey(t))
	mustGrant(t, listing, held)
	if keys, err := listing.List(bounded(t), held.Key); err != nil || len(keys) != 1 || keys[0] != held.Key {
		t.Errorf("list: %q, %v; want %q", keys, err, held.Key)
	}
	// And it is not more than it says: neither others' keys nor others' commands.
	user := server.RedisClient(t, &goredis.Options{Username: "turnstile", Password: "PASSWORD"})
	if err := user.Set(bounded(t), "theirs", "x", 0).Err(); err == nil || !goredis.HasErrorPrefix(err, "NOPERM") {
		t.Errorf("somebody else's key: %v", err)
	}
	if err := user.FlushAll(bounded(t)).Err(); err == nil || !goredis.HasErrorPrefix(err, "NOPERM") {
		t.Errorf("somebody else's command: %v", err)
	}
	if _, err := open(t, as).Acquire(bounded(t), newRequest("theirs")); !errors.Is(err, backends.ErrRefused) {
		t.Errorf("a lock of another prefix: %v", err)
	}
}

// So do the Sentinels' users.
func TestTheRuleInTheDocsIsEnoughForSentinels(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(aclPage)
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile("a user of the Sentinels \\| `([^`]*)` and all channels").FindSubmatch(readme)
	if said == nil {
		t.Fatal("the page has no rule for Sentinels")
	}
	set := onSentinel(t)
	for _, watcher := range set.Sentinels {
		rule := append(anys([]string{"ACL", "SETUSER", "watch", "on", ">PASSWORD", "allchannels"}), anys(strings.Fields(strings.ReplaceAll(string(said[1]), `\|`, "|")))...)
		if err := watcher.RedisClient(t, nil).Do(bounded(t), rule...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	as := set.URL() + "&sentinel_username=watch&sentinel_password=PASSWORD"
	exercise(t, newSession(t, as), newSession(t, as), userKeys(t)...)
	_, err = redis.Open(bounded(t), parse(t, set.URL()+"&sentinel_username=watch&sentinel_password=hunter2"), redis.Options{})
	if !backends.IsRefused(err) || !strings.Contains(err.Error(), "sentinel_password") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong password of the Sentinels': %v", err)
	}
}

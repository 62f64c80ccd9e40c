package strategies

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// write makes a directory of scripts: those of testdata/setnx, but for these. An
// empty text is a file that is missing.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mine")
	if err := os.CopyFS(dir, os.DirFS("testdata/setnx")); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		err := os.WriteFile(path, []byte(text), 0o600)
		if text == "" {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// says checks an error for each of its parts; PATH stands for the directory.
func says(t testing.TB, err error, dir string, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", parts)
		return
	}
	for _, part := range parts {
		if part = strings.ReplaceAll(part, "PATH", dir); !strings.Contains(err.Error(), part) {
			t.Errorf("%q\ndoes not say %q", err, part)
		}
	}
}

// TestScriptsThatAreNotThere, or no Lua, are told by file and line before anything runs.
func TestScriptsThatAreNotThere(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"one missing", map[string]string{"renew.lua": ""}, []string{"script PATH: there is no renew.lua", "acquire.lua, renew.lua and release.lua"}},
		{"two missing", map[string]string{"renew.lua": "", "release.lua": ""}, []string{"no renew.lua", "no release.lua"}},
		{"a syntax error", map[string]string{"acquire.lua": "-- ok\nlocal x = = 1\nreturn {1}\n"}, []string{"PATH/acquire.lua:2: syntax error near \"=\""}},
		{"an end too few", map[string]string{"release.lua": "if true then\nreturn 1\n"}, []string{"PATH/release.lua", "at the end of the file", "'end'"}},
		{"an end too many", map[string]string{"release.lua": "return 1\nend\n"}, []string{"PATH/release.lua:2: "}},
		{"a text without an end", map[string]string{"renew.lua": "return 'x\n"}, []string{"PATH/renew.lua:", "unterminated string"}},
		{"a break nowhere", map[string]string{"renew.lua": "\nbreak\n"}, []string{"PATH/renew.lua", "break"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, c.files)
			_, err := Script(dir)
			says(t, err, dir, c.want...)
		})
	}
	file := filepath.Join(write(t, nil), "acquire.lua")
	_, err := Script(file)
	says(t, err, file, "not a directory")
	gone := filepath.Join(t.TempDir(), "gone")
	_, err = Script(gone)
	says(t, err, gone, "PATH: there is no such directory")
	strange := filepath.Join(t.TempDir(), "my lock")
	if err := os.Mkdir(strange, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = Script(strange)
	says(t, err, strange, "letters, digits")
}

// TestScriptsAreNamedByTheirDirectory, however it is given.
func TestScriptsAreNamedByTheirDirectory(t *testing.T) {
	t.Chdir("testdata/setnx")
	for _, dir := range []string{".", "../setnx", "../setnx/"} {
		list := fromScripts(t, dir)
		if list[0].Name() != "script-setnx-embedded" || list[1].Name() != "script-setnx-redis" {
			t.Errorf("%s: %v", dir, namesOf(list))
		}
		for _, s := range list {
			if d := s.Describe(); !d.Peer || d.Unsafe || !strings.Contains(d.Settings, "ttl 10s") {
				t.Errorf("%s: %+v", s.Name(), d)
			}
		}
	}
}

// TestWhatAScriptDoesWrongIsToldWhenItIsOpened, on both engines, in the same words
// where these are ours.
func TestWhatAScriptDoesWrongIsToldWhenItIsOpened(t *testing.T) {
	const lost = "tried on a key of its own: "
	for _, c := range []struct {
		name, file, text string
		both             []string
		embedded, redis  []string // beside both
	}{
		{name: "no reply", file: "acquire.lua", text: "local x = 1", both: []string{"PATH/acquire.lua: replied nothing, want {1}, {1, fence}, {0} or {0, retry_after_ms}"}},
		{name: "a bare number", file: "acquire.lua", text: "return 1", both: []string{"PATH/acquire.lua: replied 1, want {1}"}},
		{name: "an empty table", file: "acquire.lua", text: "return {}", both: []string{"replied {}, want {1}"}},
		{name: "a verdict of 2", file: "acquire.lua", text: "return {2}", both: []string{"replied {2}, want"}},
		{name: "too much", file: "acquire.lua", text: "return {1, 2, 3, 4, 5, 6}", both: []string{"replied {1, 2, 3, 4, …}, want"}},
		{name: "a fence of words", file: "acquire.lua", text: "return {1, 'first'}", both: []string{`replied {1, "first"}, want`}},
		{name: "a fence of 0", file: "acquire.lua", text: "return {1, 0}", both: []string{"replied {1, 0}, want", "from 1"}},
		{name: "a negative pause", file: "acquire.lua", text: "return {0, -1}", both: []string{"replied {0, -1}, want"}},
		{name: "a pause in µs", file: "acquire.lua", text: "return {0, 5000000}", both: []string{"replied {0, 5000000}, want", "1 to 60000"}},
		{name: "a table in a table", file: "acquire.lua", text: "return {1, {2}}", both: []string{"replied {1, {2}}, want"}},
		{name: "a status", file: "renew.lua", text: "return redis.call('SET', KEYS[1], 'x')", both: []string{lost, "PATH/renew.lua: replied ", `"OK"`, "want 1 or 0"}},
		{name: "a boolean", file: "release.lua", text: "return false", both: []string{"PATH/release.lua: replied nothing, want 1 or 0"}},
		{name: "a renewal refused", file: "renew.lua", text: "return 0", both: []string{"PATH/renew.lua: replied 0: the hold was lost"}},
		{name: "a release refused", file: "release.lua", text: "return 0", both: []string{"PATH/release.lua: replied 0: the hold had ended before"}},
		{name: "an error of Lua", file: "acquire.lua", text: "local t\n\nreturn t.x", both: []string{"PATH/acquire.lua:3: attempt to index"}},
		{name: "an error of its own", file: "renew.lua", text: "error('no luck')", both: []string{"PATH/renew.lua:1: no luck"}},
		{name: "an error that it returns", file: "renew.lua", text: "return {err = 'MINE no luck'}", both: []string{"PATH/renew.lua: MINE no luck"}},
		{name: "a global", file: "acquire.lua", text: "\nlast = 1\nreturn {1}", both: []string{"PATH/acquire.lua:2: ", "readonly table"}},
		{name: "an unknown library", file: "acquire.lua", text: "return nosuch.encode(1)", both: []string{"PATH/acquire.lua:1: ", "nonexistent global variable 'nosuch'"}, embedded: []string{"the embedded engine has base, string"}},
		{name: "a wrong type", file: "acquire.lua", text: "\nredis.call('SET', KEYS[1], 'x')\nreturn redis.call('HGET', KEYS[1], 'x')", both: []string{"PATH/acquire.lua:", "WRONGTYPE"}, redis: []string{"PATH/acquire.lua:3: "}},
		{name: "no such command", file: "release.lua", text: "\nredis.call('GET', KEYS[1])\nredis.pcall(\"GET\", KEYS[1])\nreturn redis.call('NOSUCH', KEYS[1])", both: []string{"PATH/release.lua:", "Unknown Redis command"}, embedded: []string{"PATH/release.lua:4 calls NOSUCH; the embedded engine has DECR", "ZSCORE"}, redis: []string{"PATH/release.lua:4: "}},
	} {
		dir := write(t, map[string]string{c.file: c.text})
		for i, s := range fromScripts(t, dir) {
			l, err := s.Open(t.Context(), placeFor(t, s))
			if err == nil {
				_ = l.Close()
			}
			extra := [][]string{c.embedded, c.redis}[i]
			t.Run(c.name+" "+s.Describe().Place, func(t *testing.T) {
				says(t, err, dir, append(extra, append(c.both, "strategies: "+s.Name())...)...)
				if err != nil && strings.ContainsAny(strings.TrimSuffix(err.Error(), "\n"), "\n") {
					t.Errorf("more than a line: %q", err)
				}
				if err != nil && strings.Contains(err.Error(), "user_script") {
					t.Errorf("the server's name of the script: %q", err)
				}
			})
		}
	}
}

// TestACommandThatTheEngineLacksLeavesTheServer: the same scripts run there.
func TestACommandThatTheEngineLacksLeavesTheServer(t *testing.T) {
	dir := write(t, map[string]string{"renew.lua": "redis.call('LPUSH', KEYS[3], 'x')\nredis.call('DEL', KEYS[3])\nreturn 1"})
	list := fromScripts(t, dir)
	_, err := list[0].Open(t.Context(), placeFor(t, list[0]))
	says(t, err, dir, "PATH/renew.lua:1 calls LPUSH; the embedded engine has")
	l := open(t, list[1], placeFor(t, list[1]), 1)[0]
	unlock(t, lock(t, l, newKey(t)))
}

// TestAFreeKeyThatIsNeverGrantedIsAnError.
func TestAFreeKeyThatIsNeverGrantedIsAnError(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"acquire.lua": "return {0, 50}"})
	s := fromScripts(t, dir)[0]
	_, err := s.Open(t.Context(), placeFor(t, s))
	says(t, err, dir, "PATH/acquire.lua: it did not grant a free key to a lone caller within 2s")
}

// TestAScriptThatLoopsForEver is ended, and whoever comes next is served.
func TestAScriptThatLoopsForEver(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"acquire.lua": "\nwhile true do end"})
	list := fromScripts(t, dir)
	_, err := list[0].Open(t.Context(), placeFor(t, list[0]))
	says(t, err, dir, "PATH/acquire.lua:2: script killed", "rounds", "(1000000)", "loop for ever?")

	// A server that looks up sooner than after 5 s.
	at := bench.Place{Addr: servertest.Redis(t, "--lua-time-limit", "100").Addr}
	redis := list[1].(script)
	redis.open = openRedis(300 * time.Millisecond)
	_, err = redis.Open(t.Context(), at)
	says(t, err, dir, "PATH/acquire.lua: no answer in 300ms", "was killed", "loop for ever?")
	working := fromScripts(t, "testdata/setnx")[1]
	unlock(t, lock(t, open(t, working, at, 1)[0], "key"))

	written := write(t, map[string]string{"acquire.lua": "redis.call('SET', KEYS[1], 'x')\nwhile true do end"})
	redis = fromScripts(t, written)[1].(script)
	redis.open = openRedis(300 * time.Millisecond)
	_, err = redis.Open(t.Context(), at)
	says(t, err, written, "PATH/acquire.lua: no answer in 300ms", "can't be killed since it has written", "has to be stopped")
	_, err = working.Open(t.Context(), at)
	says(t, err, "testdata/setnx", "the server is busy with another script")
}

// TestABrokenScriptIsSeen: the one that excludes nobody lets two in, and the harness
// has something to find.
func TestABrokenScriptIsSeen(t *testing.T) {
	for _, s := range fromScripts(t, "testdata/broken") {
		lockers := open(t, s, placeFor(t, s), 2)
		key := newKey(t)
		first, second := lock(t, lockers[0], key), lock(t, lockers[1], key)
		unlock(t, first)
		unlock(t, second)
	}
}

// TestAHoldIsRenewedWhileItLasts, beyond its ttl.
func TestAHoldIsRenewedWhileItLasts(t *testing.T) {
	for _, s := range fromScripts(t, "testdata/setnx") {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			short := s.(script)
			short.ttl = 300 * time.Millisecond
			lockers := open(t, short, placeFor(t, s), 2)
			key := newKey(t)
			held := lock(t, lockers[0], key)
			if _, err := lockers[1].Lock(within(t, time.Second), key); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("three ttls later: %v", err)
			}
			unlock(t, held)
			// Nobody renews what was given back: it ends with its ttl.
			l := lockers[0].(*scriptLocker)
			keys, argv := l.request(key)
			if g, err := l.acquire(t.Context(), keys, argv); err != nil || !g.granted {
				t.Fatal(g, err)
			}
			unlock(t, lock(t, lockers[1], key))
		})
	}
}

// TestAHoldThatIsLostIsToldByUnlock, once a renewal has found out.
func TestAHoldThatIsLostIsToldByUnlock(t *testing.T) {
	for _, s := range fromScripts(t, "testdata/setnx") {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			short := s.(script)
			short.ttl = 300 * time.Millisecond
			l := open(t, short, placeFor(t, s), 1)[0].(*scriptLocker)
			held := lock(t, l, newKey(t)).(*scriptHold)
			if r, err := l.runner.run(t.Context(), &l.verbs.release, held.keys, held.argv); err != nil || r.Int != 1 {
				t.Fatal(r, err)
			}
			eventually(t, "a renewal that finds nothing", func() bool {
				held.mu.Lock()
				defer held.mu.Unlock()
				return held.failed != nil
			})
			says(t, held.Unlock(), "testdata/setnx", "PATH/renew.lua: replied 0: the hold was lost", "PATH/release.lua: replied 0")
		})
	}
}

// TestACallerThatLeavesTakesItsPlaceAlong: release is run for it.
func TestACallerThatLeavesTakesItsPlaceAlong(t *testing.T) {
	client := sharedRedis.RedisClient(t, nil)
	s := fromScripts(t, "testdata/queue")[1]
	l := open(t, s, placeFor(t, s), 1)[0].(*scriptLocker)
	key := newKey(t)
	held := lock(t, l, key)
	if _, err := l.Lock(within(t, 50*time.Millisecond), key); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("while it is held: %v", err)
	}
	keys, _ := l.request(key)
	if n := client.ZCard(t.Context(), keys[2]).Val(); n != 0 {
		t.Errorf("%d places are left in the queue", n)
	}
	unlock(t, held)
}

// TestAScriptsKeysAreInOneSlot, whatever braces the lock's has, and are nobody else's.
func TestAScriptsKeysAreInOneSlot(t *testing.T) {
	l := newScriptLocker(script{ttl: expires}, nil)
	seen := map[string]bool{}
	for _, key := range []string{"a", "a:b", "{a}", "{a}b", "{}a", "a{", "}a{b}"} {
		keys, argv := l.request(key)
		if len(keys) != 3 || len(argv) != 3 || keys[0] != prefix+key || argv[1] != "10000" || argv[2] != l.session {
			t.Errorf("%q: %q %q", key, keys, argv)
		}
		for _, k := range keys {
			if scripts.Slot(k) != scripts.Slot(keys[0]) {
				t.Errorf("%q is not in the slot of %q", k, keys[0])
			}
			if seen[k] || slices.Contains(scripts.Keys(keys[0])[1:], k) {
				t.Errorf("%q is another's as well", k)
			}
			seen[k] = true
		}
		if seen[argv[0]] {
			t.Errorf("the token %q comes twice", argv[0])
		}
		seen[argv[0]] = true
	}
}

// TestAServerThatForgotItsScriptsIsToldThemAgain.
func TestAServerThatForgotItsScriptsIsToldThemAgain(t *testing.T) {
	server := servertest.Redis(t)
	s := fromScripts(t, "testdata/setnx")[1]
	l := open(t, s, bench.Place{Addr: server.Addr}, 1)[0]
	if err := server.RedisClient(t, nil).ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	unlock(t, lock(t, l, "key"))
}

// TestFencesPast2To53AreExact when they come as a string.
func TestFencesPast2To53AreExact(t *testing.T) {
	dir := write(t, map[string]string{"acquire.lua": "redis.call('SET', KEYS[1], ARGV[1])\nreturn {1, '9007199254740993'}"})
	for _, s := range fromScripts(t, dir) {
		h := lock(t, open(t, s, placeFor(t, s), 1)[0], newKey(t))
		if h.Fence() != 9007199254740993 {
			t.Errorf("%s: fence %d", s.Name(), h.Fence())
		}
		unlock(t, h)
	}
}

// TestOlderServersErrorsAreRead: Redis 6.2 says where a script failed in other words.
func TestOlderServersErrorsAreRead(t *testing.T) {
	sha := strings.Repeat("0a", 20)
	for said, want := range map[string]string{
		"ERR Error running script (call to f_" + sha + "): @user_script:3: user_script:3: attempt to index local 't' (a nil value)": "d/a.lua:3: d/a.lua:3: attempt to index local 't' (a nil value)",
		"ERR Error compiling script (new function): user_script:2: unexpected symbol near '='":                                      "d/a.lua: Error compiling script (new function): d/a.lua:2: unexpected symbol near '='",
		"WRONGTYPE Operation against a key script: " + sha + ", on @user_script:7.":                                                 "d/a.lua:7: WRONGTYPE Operation against a key",
		"ERR user_script:3: boo script: " + sha + ", on @user_script:3.":                                                            "d/a.lua:3: boo",
		"OOM command not allowed": "d/a.lua: OOM command not allowed",
	} {
		if got := failure("d/a.lua", said).Error(); got != want {
			t.Errorf("%s\n got %s\nwant %s", said, got, want)
		}
	}
}

package scripts_test

import (
	"crypto/sha1" // EVALSHA's name for a script
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/scripts"
)

// known are the commands that scripts may call: every one is on the embedded
// engine as well, and on a server none needs more than the lock's own keys.
var known = strings.Fields(`
	TIME GET MGET SET DEL EXISTS PTTL PEXPIRE
	HGET HMGET HSET HDEL HLEN HGETALL
	ZADD ZREM ZSCORE ZRANK ZRANGE ZCOUNT
	PUBLISH`)

var (
	called   = regexp.MustCompile(`redis\.p?call\(\s*(?:'(\w*)'|([^')]))`)
	firstArg = regexp.MustCompile(`redis\.p?call\(\s*'\w+',\s*([^,)]+)`)
	indexed  = regexp.MustCompile(`\b(KEYS|ARGV)\[(\w+)\]`)
	anyTable = regexp.MustCompile(`\b(KEYS|ARGV)\b`)
	comment  = regexp.MustCompile(`(?m)--.*$`)
)

// header is the comment at a script's top, without its dashes.
func header(source string) []string {
	var lines []string
	for line := range strings.Lines(source) {
		text, isComment := strings.CutPrefix(strings.TrimRight(line, "\n"), "--")
		if !isComment {
			break
		}
		lines = append(lines, strings.TrimPrefix(text, " "))
	}
	return lines
}

// listed is what a header names after "KEYS:" or "ARGV:".
func listed(lines []string, title string) ([]string, bool) {
	for _, line := range lines {
		if rest, found := strings.CutPrefix(line, title+":"); found {
			return strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ' ' }), true
		}
	}
	return nil, false
}

// The KEYS of the verbs of the mutex, and of those of shares.
var (
	mutexKeys = strings.Fields("lock companion more queue alive")
	shareKeys = append(slices.Clone(mutexKeys), "holders", "shares")
)

// checkHeader compares a script's header with its code.
func checkHeader(source string, want []string) (faults []string) {
	lines := header(source)
	code := comment.ReplaceAllString(source, "")
	if len(lines) == 0 || !strings.HasSuffix(lines[0], ".") && !strings.HasSuffix(strings.Join(lines[:min(2, len(lines))], " "), ".") {
		faults = append(faults, "the header does not begin with a sentence")
	}
	for _, title := range []string{"KEYS", "ARGV"} {
		names, found := listed(lines, title)
		if !found {
			faults = append(faults, "no line "+title+":")
		}
		if top := highest(code, title); top != len(names) {
			faults = append(faults, fmt.Sprintf("%s: names %d, the code indexes up to %d", title, len(names), top))
		}
	}
	if keys, _ := listed(lines, "KEYS"); !slices.Equal(keys, want) {
		faults = append(faults, fmt.Sprintf("KEYS are %q: every full verb of the folder takes %q", keys, want))
	}
	for _, title := range []string{"Reply:", "Safe to run twice"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, title) }) {
			faults = append(faults, "no paragraph "+title)
		}
	}
	if all, plain := len(anyTable.FindAllString(code, -1)), len(indexed.FindAllString(code, -1)); all != plain {
		faults = append(faults, "KEYS or ARGV is used other than by a number in brackets")
	}
	return faults
}

// highest is the largest index that the code uses; they may leave no gap.
func highest(code, table string) int {
	top, used := 0, map[int]bool{}
	for _, m := range indexed.FindAllStringSubmatch(code, -1) {
		if m[1] != table {
			continue
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return -1
		}
		used[n], top = true, max(top, n)
	}
	if len(used) != top {
		return -1
	}
	return top
}

// checkCalls looks at every redis.call and redis.pcall of a script.
func checkCalls(source string, keys []string) (faults []string) {
	code := comment.ReplaceAllString(source, "")
	for _, m := range called.FindAllStringSubmatch(code, -1) {
		if m[1] == "" {
			faults = append(faults, "a command that is not a literal: "+m[0])
		} else if !slices.Contains(known, m[1]) {
			faults = append(faults, "an unknown command: "+m[1])
		}
	}
	if n := strings.Count(code, "redis.call") + strings.Count(code, "redis.pcall"); n != len(called.FindAllString(code, -1)) {
		faults = append(faults, "redis.call is used other than by calling it")
	}
	// A key that is put together in the script is none of KEYS: on a Cluster it
	// may be in another slot.
	for _, m := range firstArg.FindAllStringSubmatch(code, -1) {
		key := strings.TrimPrefix(strings.TrimSpace(m[1]), "k.") // as shared.lua hands them down
		if !slices.Contains(keys, key) &&
			!strings.HasPrefix(key, "'turnstile:inbox:'") {
			faults = append(faults, "a command on "+key+", which is none of KEYS: "+m[0])
		}
	}
	return faults
}

func TestHeadersAgreeWithTheCode(t *testing.T) {
	shared := read(t, "mutex/shared.lua") + read(t, "mutex/queue.lua")
	headersAgree(t, scripts.Mutex(), shared, mutexKeys)
	headersAgree(t, scripts.Shares(), shared+read(t, "shares/kinds.lua"), shareKeys)
}

func read(t *testing.T, name string) string {
	t.Helper()
	file, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}

func headersAgree(t *testing.T, verbs []*scripts.Script, shared string, keys []string) {
	t.Helper()
	for _, f := range checkCalls(shared, keys) {
		t.Errorf("what the verbs share: %s", f)
	}
	for _, s := range verbs {
		before, after, found := strings.Cut(s.Source(), shared)
		if !found || strings.Contains(after, "\nlocal function") {
			t.Fatalf("%s does not have shared.lua in it, or functions of its own below it", s.Name)
		}
		if own, atHead := strings.CutPrefix(s.Hoisted(), shared); !atHead || own != before[:len(before)-1]+after[1:] {
			t.Errorf("%s: hoisted, it is another script", s.Name)
		}
		for _, f := range append(checkHeader(before+after, keys), checkCalls(before+after, keys)...) {
			t.Errorf("%s.lua: %s", s.Name, f)
		}
		sum := sha1.Sum([]byte(s.Source()))
		if want := hex.EncodeToString(sum[:]); s.SHA() != want {
			t.Errorf("%s: SHA is %s, want %s", s.Name, s.SHA(), want)
		}
	}
}

// fast.lua and beat.lua take any number of keys and arguments, so that no list of names can be held against their code.
func TestTheHeadersOfScriptsOfManyKeys(t *testing.T) {
	for _, s := range []*scripts.Script{scripts.Fast, scripts.Beat} {
		lines := header(s.Source())
		for _, title := range []string{"KEYS:", "ARGV:", "Reply:", "Safe to run twice"} {
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, title) }) {
				t.Errorf("%s: no paragraph %s", s.Name, title)
			}
		}
		for _, m := range called.FindAllStringSubmatch(comment.ReplaceAllString(s.Source(), ""), -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: an unknown command: %s", s.Name, m[0])
			}
		}
	}
}

func TestEveryFileIsAVerb(t *testing.T) {
	verbs := []string{"mutex/shared.lua", "mutex/queue.lua", "mutex/fast.lua", "mutex/beat.lua", "shares/kinds.lua"}
	for _, s := range scripts.Mutex() {
		verbs = append(verbs, "mutex/"+s.Name+".lua")
	}
	for _, s := range scripts.Shares() {
		verbs = append(verbs, s.Name+".lua")
	}
	var files []string
	for _, folder := range []string{"mutex", "shares"} {
		found, err := filepath.Glob(filepath.Join(folder, "*.lua"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			files = append(files, filepath.ToSlash(f))
		}
	}
	slices.Sort(files)
	slices.Sort(verbs)
	if !slices.Equal(files, verbs) {
		t.Errorf("the files are %q, and embedded are %q", files, verbs)
	}
}

// The checks themselves, on a script that is right but for one thing.
func TestHeaderChecksFindFaults(t *testing.T) {
	const good = `-- Does something.
--
-- KEYS: lock, companion, more, queue, alive
-- ARGV: token
-- Reply:
--   {1}
--
-- Safe to run twice: yes.

local lock, companion, more, queue, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
return redis.call('GET', lock) == ARGV[1]
`
	if faults := append(checkHeader(good, mutexKeys), checkCalls(good, mutexKeys)...); len(faults) > 0 {
		t.Fatalf("the good one: %q", faults)
	}
	for old, spoilt := range map[string]string{
		"ARGV: token":       "ARGV: token, ttl",
		"KEYS: lock, ":      "KEYS: ",
		"-- Reply:":         "-- Says:",
		"Safe to run twice": "Safe",
		"ARGV[1]":           "ARGV[2]",
		", KEYS[5]":         "",
		"'GET', lock":       "'GET', lock .. 'x'",
		"'GET'":             "'KEYS'",
		"call('GET'":        "call(verb",
		"redis.call(":       "local f = redis.call f(",
		"== ARGV[1]":        "== ARGV[i] or ARGV[1]",
	} {
		source := strings.Replace(good, old, spoilt, 1)
		if faults := append(checkHeader(source, mutexKeys), checkCalls(source, mutexKeys)...); len(faults) == 0 {
			t.Errorf("%q instead of %q goes unnoticed", spoilt, old)
		}
	}
}

package strategies

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/yuin/gopher-lua/parse"

	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/bench"
)

var (
	_ bench.Strategy = script{}
	_ bench.Leased   = script{}
	_ bench.Scripted = script{}
)

// A verb is one of the three scripts.
type verb struct {
	path    string // as errors name it
	source  string
	program *engine.Program // for the embedded engine
	server  *goredis.Script // for a server
}

// verbs are a directory's scripts.
type verbs struct{ acquire, renew, release verb }

// Script reads the scripts of a directory: script-NAME-embedded and
// script-NAME-redis. The package says what the scripts are given and have to
// reply. A file that is missing, or is no Lua, is an error here; what they do
// shows when they are opened.
func Script(dir string) ([]bench.Strategy, error) {
	name, err := scriptName(dir)
	if err != nil {
		return nil, err
	}
	var v verbs
	if err := errors.Join(v.acquire.load(dir, "acquire.lua"), v.renew.load(dir, "renew.lua"), v.release.load(dir, "release.lua")); err != nil {
		return nil, err
	}
	// One set of programs serves both: the embedded engine compiles, and what is no
	// Lua to it is none to a server.
	common := script{dir: dir, verbs: v, ttl: expires}
	embedded, redis := common, common
	embedded.name, embedded.place, embedded.open = "script-"+name+"-embedded", bench.PlaceEmbedded, openEmbedded
	redis.name, redis.place, redis.open = "script-"+name+"-redis", bench.PlaceRedis, openRedis(scriptAnswer)
	return []bench.Strategy{embedded, redis}, nil
}

// plainName is what can stand in a strategy's name, on the command line, and in a file's.
var plainName = pattern(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// scriptName is the directory's own name, also where it is given as "." or "..".
func scriptName(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("strategies: script %s: there is no such directory", dir)
	case err != nil:
		return "", fmt.Errorf("strategies: script %s: %w", dir, err)
	case !info.IsDir():
		return "", fmt.Errorf("strategies: script %s: not a directory: name the one that has acquire.lua, renew.lua and release.lua", dir)
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("strategies: script %s: %w", dir, err)
	}
	name := filepath.Base(full)
	if !plainName().MatchString(name) {
		return "", fmt.Errorf("strategies: script %s: the directory gives the strategy its name: call it something of letters, digits, '-', '_' and '.'", dir)
	}
	return name, nil
}

// load reads and compiles one script.
func (v *verb) load(dir, file string) error {
	v.path = filepath.Join(dir, file)
	text, err := os.ReadFile(v.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("strategies: script %s: there is no %s: it takes acquire.lua, renew.lua and release.lua", dir, file)
	}
	if err != nil {
		return fmt.Errorf("strategies: script %s: %w", dir, err)
	}
	v.source = string(text)
	v.program, err = engine.Compile(v.path, v.source)
	if err != nil {
		return fmt.Errorf("strategies: %w", notLua(v.path, err))
	}
	v.server = goredis.NewScript(v.source)
	return nil
}

// notLua puts the compiler's words into the order of other errors: file, line, what.
func notLua(path string, err error) error {
	var syntax *parse.Error
	switch {
	case !errors.As(err, &syntax):
		return fmt.Errorf("%s: %w", path, err)
	case syntax.Pos.Line == parse.EOF:
		return fmt.Errorf("%s: %s at the end of the file: is an 'end' missing?", path, syntax.Message)
	}
	return fmt.Errorf("%s:%d: %s near %q", path, syntax.Pos.Line, syntax.Message, syntax.Token)
}

// A script is a user's lock on one of the two engines.
type script struct {
	name, place, dir string
	verbs            verbs
	ttl              time.Duration
	open             func(context.Context, bench.Place, verbs) (runner, error)
}

// A runner runs scripts where the keys live.
type runner interface {
	// run runs one of the verbs. An error names the script and, where it is known,
	// the line; one of ctx matches ctx.Err(), and nothing ran.
	run(ctx context.Context, v *verb, keys, argv []string) (reply, error)
	close() error
}

func (s script) Name() string { return s.name }

func (s script) Describe() bench.Description {
	settings := fmt.Sprintf("the scripts of %s; ttl %v, renewed every %v; polls as they say, or every %v, jittered", s.dir, s.ttl, s.ttl/3, scriptRetry)
	if s.place == bench.PlaceRedis {
		settings += "; " + seedDriver
	}
	return bench.Description{Settings: settings, Place: s.place, Peer: true}
}

// WithExpires sets the ttl.
func (s script) WithExpires(d time.Duration) bench.Strategy {
	s.ttl = d
	return s
}

// Inner are the commands that the scripts call by a name that stands there. Others
// count as sent.
func (s script) Inner() []string {
	var names []string
	for _, v := range []*verb{&s.verbs.acquire, &s.verbs.renew, &s.verbs.release} {
		for _, c := range v.calls() {
			if name := strings.ToLower(c.command); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// A call is a command that a script names where it calls it.
type call struct {
	line    int
	command string
}

var callOf = pattern(`\bredis\s*\.\s*p?call\s*\(\s*(?:'([^']*)'|"([^"]*)")`)

// calls reads the script's text: neither engine tells which command has failed.
func (v *verb) calls() []call {
	var list []call
	for _, at := range callOf().FindAllStringSubmatchIndex(v.source, -1) {
		from, to := max(at[2], at[4]), max(at[3], at[5]) // of the two kinds of quotes, one is there
		list = append(list, call{1 + strings.Count(v.source[:at[0]], "\n"), v.source[from:to]})
	}
	return list
}

// Open opens the engine and tries the scripts once.
func (s script) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	r, err := s.open(ctx, at, s.verbs)
	if err != nil {
		return nil, fmt.Errorf("strategies: %s: %w", s.name, err)
	}
	l := newScriptLocker(s, r)
	if err := l.tryOut(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("strategies: %s: %w", s.name, err), r.close())
	}
	return l, nil
}

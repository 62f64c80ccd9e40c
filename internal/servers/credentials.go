package servers

import (
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// Credentials are a user and a password, and whoever has them may do
// everything; nobody else may do anything. Without a user it is the default
// user's password (requirepass), and the zero Credentials let everybody in. A
// sentinel can't read its own file again if there are blanks in them.
type Credentials struct{ Username, Password string }

// options are what a client needs.
func (c Credentials) options() goredis.Options {
	return goredis.Options{Username: c.Username, Password: c.Password}
}

func (c Credentials) user() string {
	if c.Username == "" {
		return "default"
	}
	return c.Username
}

// login is what a probe has to say first, if anything.
func (c Credentials) login() []string {
	if c.Password == "" {
		return nil
	}
	return []string{"AUTH " + strconv.Quote(c.user()) + " " + strconv.Quote(c.Password)}
}

// required are the server options that ask for these credentials.
func (c Credentials) required() [][]string {
	switch {
	case c.Password == "":
		return nil
	case c.Username == "":
		return [][]string{{"requirepass", c.Password}}
	default:
		return [][]string{
			{"user", "default", "off"},
			{"user", c.Username, "on", ">" + c.Password, "~*", "&*", "+@all"},
		}
	}
}

// nodeArgs are the arguments of servers that ask for these credentials and
// show them when they copy from one another.
func (c Credentials) nodeArgs() []string {
	if c.Password == "" {
		return nil
	}
	args := []string{"--masteruser", c.user(), "--masterauth", c.Password}
	for _, option := range c.required() {
		args = append(append(args, "--"+option[0]), option[1:]...)
	}
	return args
}

// sentinelLines are the configuration of sentinels that ask for these
// credentials and show them to each other.
func (c Credentials) sentinelLines() []string {
	if c.Password == "" {
		return nil
	}
	lines := []string{"sentinel sentinel-user " + c.user(), "sentinel sentinel-pass " + strconv.Quote(c.Password)}
	for _, option := range c.required() {
		for i := range option[1:] {
			option[i+1] = strconv.Quote(option[i+1])
		}
		lines = append(lines, strings.Join(option, " "))
	}
	return lines
}

package main

import (
	"net/url"
	"strings"
)

// display is the part of a backend's URL that a message may name: the scheme, and the
// host and path behind the last @. Everything before that may be a password that was
// not escaped, and so may the query, and a path that is no database number (a / was
// written for a : or an @). The path of unix:// is a file's name.
func display(backend string) string {
	scheme, rest, ok := strings.Cut(backend, "://")
	if !ok || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" {
		return "…" // no URL: nothing tells where a password would begin
	}
	if scheme == "file" && strings.HasPrefix(rest, "/") {
		return backend // a directory, whatever its name is
	}
	hidden := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		hidden, rest = "xxxxx@", rest[at+1:]
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	host, path, _ := strings.Cut(rest, "/")
	if scheme != "unix" && strings.Trim(path, "0123456789") != "" {
		rest = host + "/…"
	}
	return scheme + "://" + hidden + rest
}

// checkBackend rejects a backend that is not a URL before anything is opened; source
// is the flag or the variable that set it. The error repeats no part of the URL:
// with a slip in the scheme the password can be anywhere in it, and the parser's
// error quotes the whole.
func checkBackend(source, backend string) error {
	const write = "write file:///DIR, redis://HOST:PORT/DB, memcache://HOST:PORT"
	u, err := url.Parse(backend)
	switch {
	case err != nil && strings.Contains(backend, "://"):
		return usage("%s is not a valid URL (is a special character of its password not escaped?)", source)
	case err != nil || u.Scheme == "" || !strings.HasPrefix(backend[len(u.Scheme):], "://"):
		return usage("%s is not a URL, which begins with a scheme and ://: %s", source, write)
	case u.Scheme == "embedded":
		// Each command is a process of its own: the lock would silently exclude
		// nobody.
		return usage("embedded:// locks within one process, so between commands it excludes nobody: use file:///DIR, redis://HOST:PORT/DB or memcache://HOST:PORT")
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Where a password can stand in a URL: before the last @ of the authority, and
// in a query parameter. The first is greedy on purpose: a password that was not
// escaped may hold an @ or a slash itself, and a mask that eats too much is better
// than one that leaves a rest of it.
var (
	userinfo = regexp.MustCompile(`(://)[^\s<>]*@`)
	secrets  = regexp.MustCompile(`(?i)([?&][a-z_]*(?:password|passwd|secret|token)=)[^&\s"]*`)
)

// mask hides the passwords of URLs. Everything that turnstile prints goes
// through it, also what libraries say of a URL that they could not parse.
func mask(s string) string {
	s = userinfo.ReplaceAllString(s, "${1}xxxxx@")
	return secrets.ReplaceAllString(s, "${1}xxxxx")
}

// oneLine makes a message of an error: no password, no line breaks, and the
// program's name only once however often the error was wrapped.
func oneLine(err error) string {
	s := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return "turnstile: " + inert(mask(strings.ReplaceAll(s, "turnstile: ", "")))
}

// inert has what a terminal would act on, or not show, in the form of Go's quoted
// strings: errors quote servers, and whoever can write to a key.
func inert(s string) string {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if n == 1 && r == utf8.RuneError || !strconv.IsPrint(r) {
			quoted := strconv.Quote(s[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// newLogger logs to w, a line a record: `turnstile: acquired key=k fence=12`.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	h := &lineHandler{out: &output{w: w}}
	h.Handler = slog.NewTextHandler(&h.out.attrs, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{} // the line says it in its own way
			}
			return a
		},
	})
	return slog.New(h)
}

// A lineHandler is slog's text handler for the attributes, behind a message that
// reads like a command's: no time, no quotes.
type lineHandler struct {
	slog.Handler
	out *output
}

type output struct {
	mu    sync.Mutex // protects what follows: handlers that share it take turns
	w     io.Writer
	attrs bytes.Buffer // what the text handler wrote of the record at hand
}

func (h *lineHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.attrs.Reset()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	line := "turnstile: "
	if r.Level == slog.LevelWarn {
		line += "warning: "
	}
	line += r.Message
	if attrs := strings.TrimSpace(h.out.attrs.String()); attrs != "" {
		line += " " + strings.ReplaceAll(attrs, "turnstile: ", "") // errors say it, too
	}
	_, err := io.WriteString(h.out.w, inert(mask(line))+"\n")
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lineHandler{Handler: h.Handler.WithAttrs(attrs), out: h.out}
}

func (h *lineHandler) WithGroup(name string) slog.Handler {
	return &lineHandler{Handler: h.Handler.WithGroup(name), out: h.out}
}

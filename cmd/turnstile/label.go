package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabel is the library's bound of a label, in bytes.
const maxLabel = 256

// defaultLabel is the label that others see for a run: host:pid, and its command's
// name. A holder that ls or show print is then found in ps on that host.
func defaultLabel(argv0 string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	label := host + ":" + strconv.Itoa(os.Getpid()) + " " + inert(filepath.Base(argv0))
	if len(label) <= maxLabel {
		return label
	}
	end := maxLabel
	for !utf8.RuneStart(label[end]) { // inert leaves valid UTF-8
		end--
	}
	return label[:end]
}

// checkText refuses text that must not be shown to others unchanged. The parameter
// what names the flag.
func checkText(what, text string) error {
	switch {
	case text == "" || len(text) > maxLabel:
		return usage("%s of %d bytes: 1 to %d", what, len(text), maxLabel)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return usage("%s %q: it must be UTF-8 without control characters", what, text)
	}
	return nil
}

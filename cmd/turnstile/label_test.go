package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestADefaultLabelIsSafeAndShort(t *testing.T) {
	if got := defaultLabel("/opt/jobs/backup.sh"); !strings.HasSuffix(got, " backup.sh") || strings.Contains(got, "/opt") {
		t.Errorf("%q does not name the command", got)
	}
	for _, name := range []string{"a\x1b[2Jb", "\xff", strings.Repeat("é", 400), strings.Repeat("\n", 400)} {
		got := defaultLabel(name)
		if err := checkText("it", got); err != nil || !utf8.ValidString(got) {
			t.Errorf("of %q: %q, %v", name, got, err)
		}
	}
}

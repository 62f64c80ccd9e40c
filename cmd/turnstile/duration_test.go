package main

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
	}{
		{"0", 0}, {"90", 90 * time.Second}, {"0.5", 500 * time.Millisecond}, {".25", 250 * time.Millisecond},
		{"5.", 5 * time.Second}, {"+2", 2 * time.Second}, {"0.000000001", 1}, {"0.1", 100 * time.Millisecond},
		{"1m30s", 90 * time.Second}, {"500ms", 500 * time.Millisecond}, {"1.5h", 90 * time.Minute}, {"0s", 0},
		{"9223372036", 9223372036 * time.Second},
	} {
		if got, err := parseDuration(c.in); err != nil || got != c.want {
			t.Errorf("%q: %v, %v; want %v", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{
		"", " ", "-1", "-5s", "-0.001", "1e3", "inf", "NaN", "0x10", "1_000", "5 s", "1:30", "1-2", ".", "s", "9223372037", "99999999999999999999",
	} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("%q: %v, want an error", in, got)
		}
	}
}

func TestMaskHidesPasswords(t *testing.T) {
	for in, want := range map[string]string{
		"redis://localhost:6379/0":                       "redis://localhost:6379/0",
		"redis://:pw@h/0":                                "redis://xxxxx@h/0",
		"dial redis://u:p@w/d@h:1/0: refused":            "dial redis://xxxxx@h:1/0: refused",
		"redis+sentinel://h?master_name=m&password=pw&x": "redis+sentinel://h?master_name=m&password=xxxxx&x",
		`parse "redis://u:p%zz@h": bad`:                  `parse "redis://xxxxx@h": bad`,
		"key a@b not acquired":                           "key a@b not acquired",
	} {
		if got := mask(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

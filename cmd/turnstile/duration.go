package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// parseDuration reads a Go duration (1m30s) or bare seconds, as flock(1) and
// timeout(1) take them (90, 0.5). It rejects the other forms that strconv accepts:
// an exponent is more likely a slip than a wish, and so is "inf", except for a wait.
func parseDuration(s string) (time.Duration, error) {
	if strings.Trim(s, "0123456789.-+") != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%q is no duration: write seconds (90, 0.5) or units (1m30s, 500ms)", s)
		}
		return d, notNegative(s, d)
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: write seconds (90, 0.5) or units (1m30s, 500ms)", s)
	}
	// Rounded, not cut: 0.1 s is no whole number of ns in binary.
	ns := math.Round(seconds * float64(time.Second))
	// MaxInt64 itself is no float64; the next one up would wrap around.
	if math.Abs(ns) >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is too long: at most 292 years", s)
	}
	return time.Duration(ns), notNegative(s, time.Duration(ns))
}

// parseWait is parseDuration for the time to wait for a key, which may be inf.
func parseWait(s string) (time.Duration, error) {
	if s == "inf" {
		return lockclient.Forever, nil
	}
	return parseDuration(s)
}

func notNegative(s string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%q is negative", s)
	}
	return nil
}

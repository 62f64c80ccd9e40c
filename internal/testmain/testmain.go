// Package testmain prepares the process of a package's tests, first thing in their
// TestMain. It sets all that the process inherits, so that a test passes under
// nohup, in cron, in a container and on a desk alike. It lets more tests run at
// once than there are processors, since most of their time is waiting.
package testmain

import (
	"flag"
	"os"
	"strconv"
	"strings"
)

// kept are the variables that a test's process keeps, by the beginnings of their
// names: those by which programs are found, and Go's own.
var kept = []string{"PATH=", "HOME=", "TMPDIR=", "GO", "CGO_", "SSL_CERT_"}

// Prepare sets all that this process and its children would inherit otherwise: the
// environment, and on Unix signals that are ignored, the umask, limits, and open
// descriptors. It lets as many tests as parallel says run at once, unless -parallel
// was given. A process that a test has started as a worker of its own must not call
// it.
func Prepare(parallel int) {
	setEnvironment()
	setInherited()
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(parallel)) // the flag exists, and it is a number
	}
}

func setEnvironment() {
	old := os.Environ()
	os.Clearenv()
	for _, pair := range old {
		for _, name := range kept {
			if strings.HasPrefix(pair, name) {
				name, value, _ := strings.Cut(pair, "=")
				_ = os.Setenv(name, value) // it was one a moment ago
			}
		}
	}
	for name, value := range map[string]string{"LC_ALL": "C", "TZ": "UTC"} {
		_ = os.Setenv(name, value) // no name is empty
	}
	if os.Getenv("GORACE") == "" {
		// Built with -race, every process sleeps for a second before it exits, unless
		// told not to; some tests start a thousand.
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
}

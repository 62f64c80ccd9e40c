package kinds

import (
	"flag"
	"os"
	"testing"
)

// TestMain makes more interleavings the default than rapid's 100: some 2 s.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "5000"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

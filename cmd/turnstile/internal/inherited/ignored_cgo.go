//go:build cgo && (linux || darwin)

package inherited

/*
#include <signal.h>

static unsigned long long ignored;

// It runs before main, and so before Go's runtime.
__attribute__((constructor)) static void look(void) {
	for (int sig = 1; sig < 64; sig++) {
		struct sigaction now;
		if (sigaction(sig, 0, &now) == 0 && now.sa_handler == SIG_IGN)
			ignored |= 1ULL << (sig - 1);
	}
}

static unsigned long long seen(void) { return ignored; }
*/
import "C"

// ignored has bit n-1 set for each signal n that was ignored at the start.
func ignored() uint64 { return uint64(C.seen()) }

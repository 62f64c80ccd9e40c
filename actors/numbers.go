package actors

import (
	cryptorand "crypto/rand"
	"math/rand/v2"
	"sync"

	"github.com/turnstile-go/turnstile/backends"
)

// numbers draws the numbers of the calls that are queued. A process that could guess one could publish
// that a lease was given, and a session would believe it.
type numbers struct {
	mu     sync.Mutex    // protects source
	source *rand.ChaCha8 // strong, and some ten times as fast as asking the system for each
}

func newNumbers() *numbers {
	var seed [32]byte
	_, _ = cryptorand.Read(seed[:]) // it never fails
	return &numbers{source: rand.NewChaCha8(seed)}
}

// next returns a number from 1 to backends.MaxAsk.
func (n *numbers) next() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		if drawn := n.source.Uint64() & backends.MaxAsk; drawn != 0 {
			return drawn
		}
	}
}

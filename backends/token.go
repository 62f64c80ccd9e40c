package backends

import (
	"crypto/rand"
	"fmt"
	"math/big"
)

// Stamp is how every token begins on the wire: the year 2100 as a decimal
// timestamp, whose fraction is the format's version. pylock runs
// float(value) < time.time() on whatever it finds under a key, so a token has
// to be a number, and one that is never in the past.
const Stamp = "4102444800.1"

const (
	sessionDigits = 20
	attemptDigits = 12
	// MaxAttempt is the highest attempt number that the wire format can carry.
	MaxAttempt = 999_999_999_999
)

// A Session names one coordinator to a backend: 20 random decimal digits.
type Session string

// NewSession draws a random session. None is all zeros: its tokens are no caller's, and stand under
// a key for what is no lease.
func NewSession() Session {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(sessionDigits), nil)
	one := big.NewInt(1)
	n, err := rand.Int(rand.Reader, limit.Sub(limit, one))
	if err != nil {
		panic(fmt.Sprintf("backends: no randomness: %v", err)) // crypto/rand never fails on a supported system
	}
	return Session(fmt.Sprintf("%0*s", sessionDigits, n.Add(n, one).String()))
}

// A Token is the secret that proves a lease; it is unique to one attempt.
// Attempts of a session are numbered upwards, which lets a backend ignore a
// request that arrives after its attempt was settled.
type Token struct {
	session Session
	attempt uint64
}

// Token returns the token of a session's attempt number n, 1 to MaxAttempt.
func (s Session) Token(n uint64) Token {
	if n == 0 || n > MaxAttempt {
		panic(fmt.Sprintf("backends: attempt number %d out of range", n))
	}
	return Token{session: s, attempt: n}
}

// Session is whose attempt this is.
func (t Token) Session() Session { return t.session }

// Attempt is the attempt's number within its session.
func (t Token) Attempt() uint64 { return t.attempt }

// Wire is the token as backends store it: the stamp, 20 digits of session, 12
// of attempt, 44 bytes in all. It is a secret: whoever has it can release the
// lease. Never log it.
func (t Token) Wire() string {
	buf := make([]byte, 0, len(Stamp)+sessionDigits+attemptDigits)
	buf = append(buf, Stamp...)
	buf = append(buf, t.session...)
	digits := [attemptDigits]byte{}
	n := t.attempt
	for i := attemptDigits - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return string(append(buf, digits[:]...))
}

// String names the attempt without the secret.
func (t Token) String() string { return fmt.Sprintf("attempt %d", t.attempt) }

// Format keeps the secret out of every verb of fmt, also of %d and %#v, and
// also where the token is a field of what is printed.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// ParseToken reads a token from the wire; ok is false for a value that some
// other library wrote.
func ParseToken(wire string) (t Token, ok bool) {
	if len(wire) != len(Stamp)+sessionDigits+attemptDigits || wire[:len(Stamp)] != Stamp {
		return Token{}, false
	}
	digits := wire[len(Stamp):]
	var n uint64
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return Token{}, false
		}
		if i >= sessionDigits {
			n = n*10 + uint64(c-'0')
		}
	}
	return Token{session: Session(digits[:sessionDigits]), attempt: n}, n != 0
}

package memcache

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	// reserved begins the name of every item but the locks of plain keys. A key
	// that begins so itself is hashed, so no key's lock is another's companion.
	reserved = "turnstile:"

	lockPrefix   = reserved + "lock:"
	fencePrefix  = reserved + "fence:"
	waitPrefix   = reserved + "wait:"
	revokePrefix = reserved + "revoke:"

	// longestName is memcached's limit, in bytes.
	longestName = 250
)

// The items of a key. They are all on one server, which the digest picks.
type items struct {
	lock   string // the token of whoever has the key
	fence  string // a counter: the newest base
	wait   string // a session that waits for the key
	revoke string // the lease that somebody wants to end
	digest [sha256.Size]byte
}

// itemsOf names a key's items. A plain key's lock is the key itself, as other
// libraries have it; every other name ends in the key's hash.
func itemsOf(key string) items {
	digest := sha256.Sum256([]byte(key))
	hash := hex.EncodeToString(digest[:])
	i := items{lock: key, fence: fencePrefix + hash, wait: waitPrefix + hash, revoke: revokePrefix + hash, digest: digest}
	if !plain(key) {
		i.lock = lockPrefix + hash
	}
	return i
}

// plain reports whether memcached can carry a key as it is.
func plain(key string) bool {
	if key == "" || len(key) > longestName || strings.HasPrefix(key, reserved) {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] == 0x7f {
			return false
		}
	}
	return true
}

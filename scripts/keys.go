package scripts

import (
	"strconv"
	"strings"
	"sync"
)

// KindLetters are the letters by which the scripts name the kinds of hold, in the order of backends.Kind: a lock, a
// share, permits.
const KindLetters = "xsp"

// NoSession is the session that there is not. Its tokens stand under a lock while shares of it are out.
const NoSession = "00000000000000000000"

// Keys returns the KEYS of every full verb for a full key: the lock itself, its
// companion, its rarer notes (more), its queue, the sessions alive in it. All five share one hash
// slot, so that a script may touch them on a Cluster. The names are wire
// format: processes of different versions meet under them.
//
// No two keys share a name. What stands between the first { and } is the same for
// a key without braces and for the tag of one with them, but after that only the
// latter's names have a brace. There the word comes before the key: behind it, the
// queue of {a}b would have the name of the companion of {a}b:queue.
func Keys(key string) []string {
	front, rest := beside(key)
	if rest == "" {
		return []string{key, front, front + ":more", front + ":queue", front + ":alive"}
	}
	return []string{key, front + rest, front + "-more" + rest, front + "-queue" + rest, front + "-alive" + rest}
}

// ShareKeys returns the KEYS of every verb of shares: those of the mutex, its holders, and their shares.
func ShareKeys(key string) []string {
	front, rest := beside(key)
	if rest == "" {
		return append(Keys(key), front+":holders", front+":shares")
	}
	return append(Keys(key), front+"-holders"+rest, front+"-shares"+rest)
}

// Pair returns the first two of Keys, the lock and its companion: those that the fast script takes.
func Pair(key string) [2]string {
	front, rest := beside(key)
	return [2]string{key, front + rest}
}

// word tells our names from everybody else's: no caller's key has it by accident.
const word = "}:turnstile"

// beside returns the beginning and the end of the names beside a key, in the key's slot. Without braces in the key,
// {key} is its own tag. With braces, Redis would cut that tag at the key's own
// brace, so a tag that hashes to the same slot stands in front and the key follows.
func beside(key string) (front, rest string) {
	if !strings.ContainsAny(key, "{}") {
		return "{" + key + word, ""
	}
	tag, ok := hashTag(key)
	if !ok {
		tag = slotTag(Slot(key))
	}
	return "{" + tag + word, ":" + key
}

// Companions is a pattern of the names beside a key, for a message: what a user has
// to be granted, or where to look.
func Companions(key string) string {
	front, rest := beside(key)
	return front + "*" + rest
}

// Lock is the key whose companion has this name, if it is a companion's.
func Lock(companion string) (key string, ok bool) {
	tag, rest, _ := strings.Cut(companion, word)
	key = strings.TrimPrefix(rest, ":")
	if rest == "" {
		key = strings.TrimPrefix(tag, "{")
	}
	return key, key != "" && Keys(key)[1] == companion
}

// IsCompanion reports whether a name is a companion's.
func IsCompanion(name string) bool {
	_, ok := Lock(name)
	return ok
}

// CompanionLike reports whether a value may be a companion's, by the length of its columns and
// its version.
func CompanionLike(value string) bool { return len(value) >= 67 && value[0] == '2' }

// Quiet reports whether a companion says that the fast script may do for its key. The script
// looks at more.
func Quiet(companion string) bool { return CompanionLike(companion) && companion[1] == '0' }

// hashTag is the part of a key that alone decides its slot: what stands
// between the first { and the next }, if anything does.
// Source: Redis Cluster specification, "Hash tags".
func hashTag(key string) (string, bool) {
	_, rest, ok := strings.Cut(key, "{")
	if !ok {
		return "", false
	}
	tag, _, ok := strings.Cut(rest, "}")
	return tag, ok && tag != ""
}

const slots = 16384

// Slot is the hash slot of a key on a Redis Cluster, 0 to 16383: CRC16 (the
// XMODEM variant) of its tag, or of all of it.
func Slot(key string) int {
	if tag, ok := hashTag(key); ok {
		key = tag
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}

// slotTags holds the smallest decimal number of each slot. It is filled on
// first use (tens of milliseconds, 16 384 short strings): only keys with braces that make
// no tag need it.
var slotTags = sync.OnceValue(func() *[slots]string {
	tags, found := new([slots]string), 0
	for n := 0; found < slots; n++ {
		tag := strconv.Itoa(n)
		if slot := Slot(tag); tags[slot] == "" {
			tags[slot] = tag
			found++
		}
	}
	return tags
})

func slotTag(slot int) string { return slotTags()[slot] }

// Flag is an argument that says yes or no, as the scripts take it.
func Flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}

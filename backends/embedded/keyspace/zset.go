package keyspace

import (
	"cmp"
	"slices"
	"sort"
)

// A zset keeps its members in order in one slice: a queue of waiting sessions
// is short, is read at its head, and loses its head, which costs no move. A
// larger one gets an index of scores beside it; an insertion then still moves
// memory.
type zset struct {
	members []scored           // by score, then by member
	scores  map[string]float64 // nil while the set is small
}

type scored struct {
	score  float64
	member string
}

const scoresFrom = 48

func (z *zset) len() int { return len(z.members) }

func (z *zset) score(member string) (float64, bool) {
	if z.scores != nil {
		s, ok := z.scores[member]
		return s, ok
	}
	for i := range z.members {
		if z.members[i].member == member {
			return z.members[i].score, true
		}
	}
	return 0, false
}

// search finds where a member of this score is, or belongs.
func (z *zset) search(s scored) (int, bool) {
	return slices.BinarySearchFunc(z.members, s, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.member, b.member))
	})
}

// rank is a member's place, -1 if it has none.
func (z *zset) rank(member string) int {
	score, ok := z.score(member)
	if !ok {
		return -1
	}
	i, _ := z.search(scored{score, member})
	return i
}

// set reports what changed: a new member, or an old one's score.
func (z *zset) set(member string, score float64) (added, changed bool) {
	old, found := z.score(member)
	if found {
		if old == score {
			return false, false
		}
		z.remove(member)
	}
	i, _ := z.search(scored{score, member})
	z.members = slices.Insert(z.members, i, scored{score, member})
	switch {
	case z.scores != nil:
		z.scores[member] = score
	case len(z.members) >= scoresFrom:
		z.scores = make(map[string]float64, 2*scoresFrom)
		for _, m := range z.members {
			z.scores[m.member] = m.score
		}
	}
	return !found, found
}

func (z *zset) remove(member string) bool {
	i := z.rank(member)
	if i < 0 {
		return false
	}
	z.cut(i, i+1)
	return true
}

// cut removes the members from place i up to j.
func (z *zset) cut(i, j int) {
	if z.scores != nil {
		for _, m := range z.members[i:j] {
			delete(z.scores, m.member)
		}
	}
	if i == 0 {
		clear(z.members[:j])
		z.members = z.members[j:]
	} else {
		z.members = slices.Delete(z.members, i, j)
	}
	if z.scores != nil && len(z.members) < scoresFrom/4 {
		z.members, z.scores = slices.Clone(z.members), nil
	}
}

// within is the slice of places whose scores lie between the bounds.
func (z *zset) within(from, to bound) (int, int) {
	i := sort.Search(len(z.members), func(i int) bool { return from.below(z.members[i].score) })
	j := sort.Search(len(z.members), func(i int) bool { return !to.above(z.members[i].score) })
	return i, max(i, j)
}

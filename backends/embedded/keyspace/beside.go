package keyspace

// beside has the values of one kind, by their keys' entries.
type beside[V any] struct {
	values map[*entry]*V
	peak   int // the most that values has held since it was made
}

func (b *beside[V]) of(e *entry) *V { return b.values[e] }

func (b *beside[V]) add(e *entry, v *V) {
	if b.values == nil {
		b.values = make(map[*entry]*V)
	}
	b.values[e] = v
	b.peak = max(b.peak, len(b.values))
}

// remove forgets a value; a map that was large and is empty goes with the last.
func (b *beside[V]) remove(e *entry) {
	delete(b.values, e)
	if len(b.values) == 0 && b.peak > shrinkFrom {
		b.values, b.peak = nil, 0
	}
}

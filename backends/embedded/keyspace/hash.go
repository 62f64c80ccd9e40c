package keyspace

import "slices"

// A hash keeps its fields in a slice, in the order they were first set, which
// a lock's companion with its handful of fields never outgrows. A larger one
// gets an index beside it.
type hash struct {
	fields []field
	index  map[string]int32 // where each field is; nil while the hash is small
}

type field struct{ name, value string }

// indexFrom is the number of fields from which a scan is slower than a map:
// comparing strings of other lengths costs next to nothing.
const indexFrom = 48

func (h *hash) len() int { return len(h.fields) }

func (h *hash) find(name string) int {
	if h.index != nil {
		if i, ok := h.index[name]; ok {
			return int(i)
		}
		return -1
	}
	for i := range h.fields {
		if h.fields[i].name == name {
			return i
		}
	}
	return -1
}

func (h *hash) get(name string) (string, bool) {
	if i := h.find(name); i >= 0 {
		return h.fields[i].value, true
	}
	return "", false
}

// set reports whether the field is new.
func (h *hash) set(name, value string) bool {
	if i := h.find(name); i >= 0 {
		h.fields[i].value = value
		return false
	}
	if len(h.fields) == cap(h.fields) && len(h.fields) < indexFrom {
		// append would double: at a million companions that is memory for nothing.
		grown := make([]field, len(h.fields), len(h.fields)+2)
		copy(grown, h.fields)
		h.fields = grown
	}
	h.fields = append(h.fields, field{name, value})
	switch {
	case h.index != nil:
		h.index[name] = int32(len(h.fields) - 1)
	case len(h.fields) >= indexFrom:
		h.index = make(map[string]int32, 2*indexFrom)
		for i, f := range h.fields {
			h.index[f.name] = int32(i)
		}
	}
	return true
}

func (h *hash) remove(name string) bool {
	i := h.find(name)
	if i < 0 {
		return false
	}
	if h.index == nil {
		h.fields = slices.Delete(h.fields, i, i+1)
		return true
	}
	// The last field moves into the gap: the order of a large hash is nobody's business.
	last := len(h.fields) - 1
	delete(h.index, name)
	if i < last {
		h.fields[i] = h.fields[last]
		h.index[h.fields[i].name] = int32(i)
	}
	h.fields[last] = field{}
	h.fields = h.fields[:last]
	if last < indexFrom/4 {
		h.fields, h.index = slices.Clone(h.fields), nil
	}
	return true
}

// grow makes room for n more fields, exactly, in a hash that has none.
func (h *hash) grow(n int) {
	if h.fields == nil {
		h.fields = make([]field, 0, n)
	}
}

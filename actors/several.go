package actors

// Has reports whether the hold, which was granted, is one of key in c and goes on.
func (h *Hold) Has(c *Coordinator, key string) bool {
	if h.entry.dir != c.directory || h.entry.key != key || h.released.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.ended && c.clock.now() < h.deadline
}

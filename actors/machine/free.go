package machine

// free is the phase in which the backend knows nothing of this process: nobody here
// wants the key, or nobody may ask for it yet.
type free struct {
	retry retry // asking goes on with it, and the other way round
}

func (f *free) retries() *retry { return &f.retry }

func (f *free) plan(m *Machine, p *plan) *Call {
	if m.resting(p) || m.queue.len == 0 || m.closing {
		return nil
	}
	if in, c := m.inGap(p); in {
		return c
	}
	if !p.from(f.retry.at) {
		return nil
	}
	pause := f.retry
	m.enter(&m.asking)
	m.asking.retry = pause
	c := m.asking.ask(m)
	if c == nil {
		m.enter(&m.free)
	}
	return c
}

// answered takes the result of a look at the key, the only call of the phase.
func (f *free) answered(m *Machine, c *Call) { m.looked(c) }

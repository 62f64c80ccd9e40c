package actors

import (
	"testing"
	"testing/synctest"
	"time"
)

// A stuck dispatcher keeps whoever schedules until its gate is closed.
type stuck struct{ gate chan struct{} }

func (s stuck) Schedule(func()) { <-s.gate }
func (s stuck) Throughput() int { return 1 }
func (s stuck) receive(any)     { <-s.gate }

// Regression: Close waited for none of the goroutines that tell keys of a jump of the
// clock, or to retire, so that one of them could outlive it.
func TestCloseWaitsForThoseWhoTellKeys(t *testing.T) {
	for name, tell := range map[string]func(c *Coordinator, e *entry){
		"of a jump of the clock": func(c *Coordinator, e *entry) {
			s := c.directory.shard(e.key)
			s.mu.Lock()
			s.entries = map[string]*entry{e.key: e}
			s.mu.Unlock()
			c.look()
			synctest.Wait() // it has the entry, which may go
			s.mu.Lock()
			s.entries = nil
			s.mu.Unlock()
		},
		"to look again": func(c *Coordinator, e *entry) {
			e.alarms().set(e, c.clock.now().Add(time.Second), c.clock.now())
			time.Sleep(time.Second) // virtual
			synctest.Wait()
		},
		"to retire": func(c *Coordinator, e *entry) {
			c.sweeper.add(e, c.clock.now())
			time.Sleep(defaultIdleAfter) // virtual
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(&grantAll{}, Config{})
				if err != nil {
					t.Fatal(err)
				}
				e := &entry{key: "k", dir: c.directory, mailbox: new(mailbox)}
				gate := make(chan struct{})
				e.mailbox.receiver = stuck{gate}
				e.mailbox.RegisterHandlers(nil, stuck{gate})
				tell(c, e)
				closed := make(chan error, 1)
				go func() { closed <- c.Close() }()
				synctest.Wait()
				select {
				case err := <-closed:
					t.Errorf("it has returned (%v), and the goroutine is there", err)
					close(gate)
				default:
					close(gate)
					if err := <-closed; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// The clock of a coordinator that is closed can still be read, as by a hold's Deadline.
// A jump that is noticed then starts no goroutine.
func TestAJumpAfterCloseIsNobodysBusiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(&grantAll{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		s := c.directory.shard("k")
		e := &entry{key: "k", dir: c.directory}
		e.posted.Store(retired) // counts, and sends nothing
		s.entries = map[string]*entry{e.key: e}
		leap(c.clock, time.Hour)
		synctest.Wait()
		if n := e.posted.Load() - retired; n != 0 {
			t.Errorf("%d messages were posted", n)
		}
	})
}

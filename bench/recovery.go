package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// kills is how often a run of a recovery kills a holder.
const kills = 2

// recovery measures what waiters see of a holder's death. One process takes the
// key and keeps it; in another, as many contenders as the workload has wait for
// it; the first is killed, and the clock, the same for all processes, tells when
// the next grant came. Holds are not renewed, so that a strategy without any
// other sign of a death has its whole lease to wait for, less the time since the
// grant: the workload's warm-up, in which the waiters queue.
func (m *Measured) recovery(ctx context.Context, sp spec) error {
	sp.Budget += sp.Lease * kills
	for i := range kills {
		if ctx.Err() != nil {
			return nil
		}
		sp.Process = i
		d, err := recoverOnce(ctx, sp)
		if err != nil {
			return err
		}
		m.Run.Recovery = append(m.Run.Recovery, d)
	}
	return nil
}

// A sighting is a stamp of the clock when a hold was granted.
type sighting struct {
	At  int64
	Err string
}

func recoverOnce(ctx context.Context, sp spec) (seconds float64, err error) {
	sp.Part = partHolder
	holder, err := startWorker(sp)
	if err != nil {
		return 0, err
	}
	// It is killed: that is no failure, and neither is what Wait says of it.
	defer func() { holder.cancel(); _ = holder.dismiss() }()
	sp.Part = partWaiter
	waiter, err := startWorker(sp)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, waiter.dismiss()) }()
	if err := errors.Join(holder.ready(), waiter.ready()); err != nil {
		return 0, err
	}
	if _, err := holder.take(); err != nil {
		return 0, err
	}
	if err := waiter.begin(); err != nil {
		return 0, err
	}
	if err := wait(ctx, nil, sp.Workload.Warmup); err != nil {
		return 0, err
	}
	killed := systemNow()
	if err := holder.cmd.Process.Kill(); err != nil {
		return 0, fmt.Errorf("bench: recovery: %w", err)
	}
	granted, err := waiter.sight()
	if err != nil {
		return 0, err
	}
	if granted < killed {
		return 0, errors.New("bench: recovery: the key was granted before its holder was killed")
	}
	return float64(granted-killed) / 1e9, nil
}

func (w *worker) take() (int64, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return w.sight()
}

func (w *worker) sight() (int64, error) {
	var s sighting
	if err := w.answers.Decode(&s); err != nil {
		return 0, fmt.Errorf("bench: recovery: worker %d: %w", w.process, err)
	}
	if s.Err != "" {
		return 0, errors.New(s.Err)
	}
	return s.At, nil
}

// recoveryPart is the life of a worker in a recovery: it takes the key when it
// is told to, with one contender or many, and tells of the first grant. The
// holder's grant is its last deed; the waiters give back what they get.
func recoveryPart(s Strategy, sp spec, lines *bufio.Scanner, answers *json.Encoder) error {
	ctx, cancel := context.WithTimeout(context.Background(), sp.Budget)
	defer cancel()
	locker, err := sp.open(ctx, s)
	if err != nil {
		return answers.Encode(greeting{Err: err.Error()})
	}
	if err := answers.Encode(greeting{}); err != nil {
		return errors.Join(err, locker.Close())
	}
	if !lines.Scan() { // the parent gave it up
		return locker.Close()
	}
	// A key each: the last death leaves the next one nothing.
	key := keyNames(sp.Place.Run, kills)[sp.Process]
	if sp.Part == partHolder {
		_, err := locker.Lock(ctx, key)
		if err := answers.Encode(sighted(err)); err != nil {
			return err
		}
		lines.Scan() // killed here, or given up
		return nil
	}
	firsts := make(chan sighting, sp.Workload.Goroutines)
	var wg sync.WaitGroup
	for range sp.Workload.Goroutines {
		wg.Go(func() { // ends with ctx at the latest
			held, err := locker.Lock(ctx, key)
			firsts <- sighted(err)
			if err == nil {
				_ = held.Unlock() // the grant is what counts, and is told
			}
		})
	}
	first := <-firsts
	err = answers.Encode(first)
	// The others were waiting to make a crowd; nothing is measured of them.
	cancel()
	wg.Wait()
	return errors.Join(err, locker.Close())
}

func sighted(err error) sighting {
	if err != nil {
		return sighting{Err: "acquire: " + err.Error()}
	}
	return sighting{At: systemNow()}
}

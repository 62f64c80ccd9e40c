package backendtest

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func (f *fake) Revoke(ctx context.Context, key string, r backends.Revocation) (backends.Revoked, error) {
	rec, leave, err := f.enter(ctx, key)
	if err != nil {
		return backends.NobodyHolds, err
	}
	defer leave()
	if rec.holder == (backends.Token{}) && f.fault != marksAnything {
		return backends.NobodyHolds, nil
	}
	oldest := rec.first
	if f.fault == knowsNewestBase {
		oldest = rec.base
	}
	if r.Base != 0 && (r.Base < oldest || r.Base > rec.base) && f.fault != ignoresBase {
		return backends.Superseded, nil
	}
	if f.fault == marksLate {
		f.stray(rec)
	}
	if r.Now || f.fault == revokesAtOnce {
		if f.fault != keepsDeleted {
			rec.holder = backends.Token{}
		}
		if r.Now {
			return backends.Deleted, nil
		}
	}
	if f.fault != hidesReason && rec.reason == "" {
		rec.reason = r.Reason
	}
	rec.revoked = true
	return backends.Marked, nil
}

// stray lets others in between a look and what was decided by it, until the
// holder is another, or none comes.
func (f *fake) stray(rec *record) {
	was := rec.holder
	for wait := time.Now().Add(100 * time.Millisecond); time.Now().Before(wait); {
		if rec.holder != was && rec.holder != (backends.Token{}) {
			return
		}
		f.mu.Unlock()
		time.Sleep(time.Millisecond) // others' turn
		f.mu.Lock()
	}
}

func (f *fake) List(ctx context.Context, prefix string) ([]string, error) {
	_, leave, err := f.enter(ctx, prefix)
	if err != nil {
		return nil, err
	}
	defer leave()
	var keys []string
	for key, rec := range f.records {
		listed := strings.HasPrefix(key, prefix)
		if f.fault == listsByPattern {
			listed, _ = path.Match(prefix+"*", key)
		}
		held := rec.holder != (backends.Token{}) && time.Now().Before(rec.ends)
		if listed && (held || f.fault == listsFree) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	switch {
	case f.fault == listsUnsorted:
		slices.Reverse(keys)
	case f.fault == listsTwice && len(keys) > 0:
		keys = append(keys[:1:1], keys...)
	case f.fault == listsFirst:
		keys = keys[:min(len(keys), 1000)]
	}
	return keys, nil
}

func (f *fake) inLine(rec *record) []backends.Waiter {
	all := []backends.Waiter{}
	for _, w := range rec.waiting {
		label, waited := w.label, time.Since(w.since)
		if f.fault == namesTheHolder {
			label = rec.label
		}
		all = append(all, backends.Waiter{Label: &label, For: &waited})
	}
	if f.fault == namesLastFirst {
		slices.Reverse(all)
	}
	return all
}

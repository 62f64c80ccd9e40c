package backendtest

import (
	"context"
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func (f *fakeSharer) RenewShare(ctx context.Context, r backends.Request, known uint64) (backends.Reply, error) {
	rec, leave, err := f.enter(ctx, r.Key)
	if err != nil {
		return backends.Reply{}, err
	}
	defer leave()
	sh := f.of(r.Key)
	own := sh.find(r.Token)
	switch {
	case own == nil && rec.holder != (backends.Token{}) && (rec.holder == r.Token || f.fault == downgradeHits):
		return f.downgrade(rec, sh, r, known)
	case own == nil, known != 0 && known < own.first && f.fault != renewsLaterShare:
		return backends.Reply{}, backends.ErrNotHeld
	case own.revoked && f.fault != renewsRevokedShare:
		return backends.Reply{}, backends.RevokedFor(own.reason)
	}
	ends := time.Now().Add(r.TTL)
	shortens := known == own.base && f.fault != newestShortensNothing || f.fault == staleShortensShare
	if (shortens || ends.After(own.ends)) && f.fault != renewsNoShare {
		own.ends = ends
	}
	if r.Want < own.permits && r.Want > 0 || f.fault == permitsGrow && sh.kind == backends.Slots {
		own.permits = r.Want
		f.wakeFitting(r.Key, rec, sh)
	}
	return f.says(rec, sh, own, r.TTL), nil
}

func (f *fakeSharer) downgrade(rec *record, sh *sharing, r backends.Request, known uint64) (backends.Reply, error) {
	if known != 0 && known < rec.first && f.fault != downgradeHits {
		return backends.Reply{}, backends.ErrNotHeld
	}
	if rec.revoked && f.fault != turnsRevoked {
		return backends.Reply{}, backends.RevokedFor(rec.reason)
	}
	if f.fault == downgradeIsLock {
		return backends.Reply{Outcome: backends.Granted, Kind: r.Kind, Permits: r.Want, Base: f.mint(rec), TTL: r.TTL}, nil
	}
	return f.make(rec, sh, r, max(1, min(r.Want, r.N))), nil
}

func (f *fakeSharer) Release(ctx context.Context, a backends.Attempt) error {
	if was, err := f.end(ctx, a, true); was || err != nil {
		return err
	}
	return f.fake.Release(ctx, a)
}

func (f *fakeSharer) Cancel(ctx context.Context, a backends.Attempt) error {
	if was, err := f.end(ctx, a, f.fault != cancelsNoShare); was || err != nil {
		return err
	}
	if f.fault == keepsPlaceAhead {
		return nil
	}
	return f.fake.Cancel(ctx, a)
}

// end ends a share, and reports whether there was one.
func (f *fakeSharer) end(ctx context.Context, a backends.Attempt, ends bool) (was bool, err error) {
	rec, leave, err := f.enter(ctx, a.Key)
	if err != nil {
		return false, err
	}
	defer leave()
	f.settle(a)
	if f.fault != keepsPlaceAhead {
		rec.leave(a.Token)
	}
	sh := f.of(a.Key)
	own := sh.find(a.Token)
	if own != nil && ends {
		f.drop(rec, sh, own)
		f.wakeFitting(a.Key, rec, sh)
	}
	return own != nil, nil
}

func (f *fakeSharer) drop(rec *record, sh *sharing, s *share) {
	sh.shares = slices.DeleteFunc(sh.shares, func(o *share) bool { return o == s || f.fault == endsAll })
	if len(sh.shares) == 0 && f.fault == lastShareFrees {
		rec.waiting = nil
	}
}

func (f *fakeSharer) Revoke(ctx context.Context, key string, r backends.Revocation) (backends.Revoked, error) {
	rec, leave, err := f.enter(ctx, key)
	if err != nil {
		return backends.NobodyHolds, err
	}
	defer leave()
	sh := f.of(key)
	if len(sh.shares) == 0 {
		leave()
		defer f.mu.Lock()
		return f.fake.Revoke(ctx, key, r)
	}
	found := backends.Superseded
	for _, s := range slices.Clone(sh.shares) {
		named := r.Base == 0 || r.Base == s.first || r.Base == s.base || f.fault == revokesWithin && r.Base >= s.first && r.Base <= s.base
		if !named && !(r.Now && f.fault == deletesAllShares) || f.fault == revokesFirst && r.Base == 0 && s != sh.shares[0] {
			continue
		}
		f.tell(key, backends.Revoking, s.token)
		if r.Now {
			if found = backends.Deleted; f.fault != keepsDeletedShare {
				f.drop(rec, sh, s)
			}
			continue
		}
		if found = backends.Marked; !s.revoked || f.fault == latestReason {
			s.revoked, s.reason = true, r.Reason
		}
	}
	return found, nil
}

func (f *fakeSharer) Inspect(ctx context.Context, key string) (backends.Info, error) {
	info, err := f.fake.Inspect(ctx, key)
	if err != nil {
		return info, err
	}
	rec, leave, err := f.enter(ctx, key)
	if err != nil {
		return info, err
	}
	defer leave()
	for i := range info.Waiters {
		if f.fault != hidesWishes {
			info.Waiters[i].Kind, info.Waiters[i].N = f.all.wishes[rec.waiting[i].token].Kind, f.all.wishes[rec.waiting[i].token].N
		}
	}
	sh := f.of(key)
	if len(sh.shares) == 0 {
		return info, nil
	}
	info.Held, info.Kind, info.Out, info.Revoked = true, sh.kind, sh.out(), true
	for _, s := range sh.shares {
		label, held, left := s.label, time.Since(s.since), time.Until(s.ends)
		info.Revoked = info.Revoked && s.revoked
		if info.ExpiresIn == nil || *info.ExpiresIn < left {
			info.ExpiresIn = &left
		}
		if f.fault != hidesHolders {
			info.Holders = append(info.Holders, backends.Holder{
				Label: &label, HeldFor: &held, ExpiresIn: &left, Permits: s.permits, First: s.first, Base: s.base, Revoked: s.revoked,
			})
		}
	}
	return info, nil
}

func (f *fakeSharer) List(ctx context.Context, prefix string) ([]string, error) {
	keys, err := f.fake.List(ctx, prefix)
	if err != nil || f.fault == listsNoShares {
		return keys, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.all.keys {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix && len(f.of(key).shares) > 0 {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

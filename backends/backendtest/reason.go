package backendtest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/turnstile-go/turnstile/backends"
)

func revokesWithReason(o offer) bool { return o.Revokes && o.Reasons }

const (
	why     = "disk\x1b[2J maintenance, see \"ops\""
	inQuote = `"disk\x1b[2J maintenance, see \"ops\""`
)

// revokeSaysWhy: the text comes from somebody else, so it is quoted. The first
// revoker's reason counts, and it doesn't pass to a later lease.
func revokeSaysWhy(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := first(
		b.revoke(r.Key, backends.Revocation{Reason: why}, backends.Marked),
		c.revoke(r.Key, backends.Revocation{Reason: "another"}, backends.Marked),
	); err != nil {
		return err
	}
	if err := a.renewal(r); !backends.IsRevoked(err) || !strings.Contains(err.Error(), inQuote) {
		return fmt.Errorf("renewal of a lease that was revoked for %s: %v", inQuote, err)
	}
	if err := a.free(r); err != nil {
		return err
	}
	if r, _, err = a.hold(r.Key, long); err != nil {
		return err
	}
	if err := b.revoke(r.Key, backends.Revocation{}, backends.Marked); err != nil {
		return err
	}
	if err := a.renewal(r); !errors.Is(err, backends.ErrRevoked) || strings.Contains(err.Error(), "maintenance") {
		return fmt.Errorf("renewal of a lease that was revoked without a reason: %v", err)
	}
	return a.free(r)
}

// revokeWithoutReason: a backend without a place for a reason still revokes.
func revokeWithoutReason(st *store) error {
	if _, ok := whole(st.bare()).(backends.Revoker); !ok {
		return nil
	}
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := b.revoke(r.Key, backends.Revocation{Reason: why}, backends.Marked); err != nil {
		return err
	}
	if err := a.renewal(r); !backends.IsRevoked(err) || strings.Contains(err.Error(), "maintenance") {
		return fmt.Errorf("it declares no reasons, and a renewal says %v", err)
	}
	return a.free(r)
}

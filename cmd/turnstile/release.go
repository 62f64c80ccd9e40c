package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/turnstile-go/turnstile/lockclient"
)

const aboutRelease = `Release frees KEY, which somebody else holds. It tells the holder to stop: a run ends its
command, a Go program sees its Context end. Then KEY is free. Release waits for that, and says
how long it took. Nobody gets KEY while its holder still works.

A holder that does not answer, or that is another library's client, can't be asked: its key is
free when its lease ends. --now does not wait for that: it deletes the key if the holder has not
let go 0.6 s after it was told; the holder may go on working beside the next one.

Where several hold KEY (run --shared, --slots), all of them are told, or with --fence one of them.

On a terminal, release shows who holds KEY and asks first. With --fence it does nothing unless
the hold with that fence still has KEY: the number is FENCE of ls or show, or TURNSTILE_FENCE
of a command. (The goroutines of a Go program may share a lease: there it may end the hold of
the next one.)

Exit codes: 0 KEY is free, or its next holder has it; 76 the same, but its holder never let go:
its lease ran out, and it may still be at work; 75 KEY is not free: another has it than the
fence's, its holder did not let go in time, or the answer was no; 64, 69 as ever; 130 interrupted
(TERM: 143): then the holder was told to stop all the same.`

// releaseFlags is where cobra puts the flags of release.
type releaseFlags struct {
	fence, reason   string
	force, now, yes bool
}

// A release is what a command line of release asks for.
type release struct {
	settings
	key   string
	fence uint64 // of the hold that is meant; 0: any hold of the key
	// reason is shown to the holder, where the backend keeps it.
	reason string
	now    bool
	yes    bool
}

func newRelease(o *options) *cobra.Command {
	var f releaseFlags
	cmd := &cobra.Command{
		Use:   "release KEY --force",
		Short: "Free a key that somebody else holds",
		Long:  aboutRelease,
		Example: `  turnstile release nightly --force
  turnstile release nightly --force --yes --fence "$fence"   # in a script: that holder, or nobody
  turnstile release nightly --force --now                    # its holder is gone, and won't answer`,
		Args:              oneKey("release"),
		ValidArgsFunction: heldKeys(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.resolve(cmd)
			if err != nil {
				return err
			}
			// In a script, an empty variable must not mean whoever has the key.
			if cmd.Flags().Changed("fence") && f.fence == "" {
				return usage("--fence is empty: a number, as ls and show print it")
			}
			if cmd.Flags().Changed("reason") {
				if err := checkText("--reason", f.reason); err != nil {
					return err
				}
			}
			r, err := f.release(s, args[0])
			if err != nil {
				return err
			}
			return r.execute(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.force, "force", false, "required: the holder of KEY is told to stop")
	fs.StringVar(&f.fence, "fence", "", "only if the hold with fence `N` still has KEY; of several holders, that one")
	fs.StringVar(&f.reason, "reason", "", "show the holder `TEXT` as the reason, at most 256 bytes; only file:// keeps it")
	fs.BoolVar(&f.now, "now", false, "delete KEY outright; its holder may go on beside the next one")
	fs.BoolVarP(&f.yes, "yes", "y", false, "don't ask")
	completeFlags(cmd, map[string][]cobra.Completion{"fence": nil, "reason": nil})
	return cmd
}

// release checks all that can be checked before anything is opened.
func (f releaseFlags) release(s settings, key string) (*release, error) {
	r := &release{settings: s, key: key, reason: f.reason, now: f.now, yes: f.yes}
	if !f.force {
		return nil, usage("release takes a key away from its holder, whose command is ended: add --force if you mean it (turnstile show %s tells who it is)", printable(key))
	}
	if f.fence != "" {
		var err error
		if r.fence, err = strconv.ParseUint(f.fence, 10, 64); err != nil || r.fence == 0 {
			return nil, usage("--fence %q: a number, as ls and show print it", f.fence)
		}
	}
	if !r.yes && !(isTerminal(os.Stdin) && isTerminal(os.Stderr)) {
		return nil, usage("there is no terminal to ask on: add --yes to release %s", printable(key))
	}
	return r, nil
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }

// A revoker is the client, as far as release needs one.
type revoker interface {
	Inspect(ctx context.Context, key string) (lockclient.Info, error)
	Revoke(ctx context.Context, key string, r lockclient.Revocation) (lockclient.Revoked, error)
}

var _ revoker = (*lockclient.Client)(nil)

// execute carries the release out. A signal ends it at once, wherever it is.
func (r *release) execute(ctx context.Context) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	v := &revocation{release: r, in: os.Stdin}
	if _, kept, _ := fileDir(r.backend); r.reason != "" && !kept {
		v.mention("this backend keeps no reasons: the holder is not told this one")
	}
	o := within(ctx, func() (*lockclient.Client, *os.File, error) {
		client, err := r.visit()
		return client, nil, err
	})
	if o.err != nil {
		return v.broken(ctx, o.err)
	}
	defer o.client.Close()
	v.client = o.client
	return v.run(ctx)
}

const (
	// lookEvery is how often the key is looked at while its holder stops.
	lookEvery = 50 * time.Millisecond
	// patience of a person: after that, what goes on is said.
	holderPatience = 2 * time.Second
	// past is how long after the end of a lease its key may still seem held: the
	// server has to be asked, and its clock is another.
	past = time.Second
	// unknownRest bounds the wait where a backend can't tell when a lease ends.
	unknownRest = time.Minute
)

// A revocation is a release under way.
type revocation struct {
	*release
	client revoker
	in     io.Reader // where the answer comes from

	done string // what an interrupt does not take back
}

// run takes the steps: look, ask, revoke, wait.
func (v *revocation) run(ctx context.Context) error {
	before, err := v.client.Inspect(ctx, v.key)
	switch {
	case err != nil:
		return v.broken(ctx, err)
	case !before.Held:
		return v.free()
	}
	if one := addressed(before, v.fence); v.fence != 0 && one.Held {
		before = one
	}
	fences := []uint64{v.fence}
	if !v.yes {
		yes, err := v.ask(ctx, before)
		if err != nil || !yes {
			return v.refused(ctx, err)
		}
		// Whoever was shown is meant, and nobody who came while the question stood.
		if v.fence == 0 && before.Foreign {
			if done, err := v.foreign(ctx); done {
				return err
			}
		} else if v.fence == 0 {
			fences = fencesOf(before)
		}
	}
	found, err := v.revoke(ctx, fences)
	if err != nil {
		return v.broken(ctx, err)
	}
	switch found {
	case lockclient.Marked:
		v.done = "it stays revoked, its holder was told to stop"
	case lockclient.NobodyHolds:
		return v.free()
	case lockclient.Superseded:
		return v.superseded(ctx, fences[0])
	case lockclient.Deleted:
		if before.Resting {
			return v.say("%s rests no longer", v.name())
		}
		return v.say("%s was deleted; it was held by %s, which may go on until it notices", v.name(), sketch(before))
	}
	return v.wait(ctx, before)
}

// revoke ends the holds with these fences, and returns what it found, of several the most.
func (v *revocation) revoke(ctx context.Context, fences []uint64) (found lockclient.Revoked, err error) {
	v.done = "its holder may have been told to stop"
	for i, fence := range fences {
		one, err := v.client.Revoke(ctx, v.key, lockclient.Revocation{Fence: fence, Now: v.now, Reason: v.reason})
		if errors.Is(err, lockclient.ErrInvalid) && i == 0 {
			v.done = "" // it was refused before it was sent
		}
		if err != nil {
			return found, err
		}
		// One of several that has left meanwhile is no news.
		if i == 0 || one == lockclient.Marked || one == lockclient.Deleted && found != lockclient.Marked {
			found = one
		}
	}
	v.done = ""
	return found, nil
}

// foreign goes on with another library's client, which has no fence to be named by:
// the key is looked at once more, and without --now nothing is revoked, since that
// could only mean a holder of ours. done says that no more is to be done.
func (v *revocation) foreign(ctx context.Context) (done bool, err error) {
	now, err := v.client.Inspect(ctx, v.key)
	switch {
	case err != nil:
		return true, v.broken(ctx, err)
	case !now.Held:
		return true, v.free()
	case !now.Foreign:
		err := fmt.Errorf("%s is no longer held by another library's client, but by %s: nothing was revoked", v.name(), sketch(now))
		return true, &exitError{code: exitConflict, err: err, quiet: true}
	case v.now:
		return false, nil
	}
	return true, v.wait(ctx, now)
}

// wait looks at the key until its holder has let go. It is bounded: a lease that was
// revoked is not renewed, so that after its end nobody is left to wait for.
func (v *revocation) wait(ctx context.Context, before lockclient.Info) error {
	begin := time.Now()
	now, err := v.look(ctx)
	if err != nil {
		return v.broken(ctx, err)
	}
	rest := unknownRest
	switch {
	case now.ExpiresIn != nil:
		rest = *now.ExpiresIn
	case now.Foreign:
		return v.still("held by %s, which can't be told to stop, and whose key has no end: --now deletes it", sketch(now))
	}
	if now.Foreign {
		v.mention("held by %s, which can't be told to stop: its key ends in %s; --now deletes it", sketch(now), ago(now.ExpiresIn))
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	// A hold that is gone before its lease can have ended was let go.
	over := begin.Add(rest)
	for mentioned := now.Foreign; ; {
		switch {
		case gone(before, now) && !time.Now().Before(over):
			return v.ranOut(before, time.Since(begin))
		case gone(before, now):
			return v.say("%s was let go by %s after %s", v.name(), owner(before), readable(time.Since(begin)))
		}
		waited := time.Since(begin)
		switch {
		case waited > rest+past:
			return v.still("held by %s, which did not let go in %s: --now deletes it", sketch(now), readable(waited))
		case waited > holderPatience && !mentioned:
			mentioned = true
			v.mention("%s %s %s; --now deletes it", owner(now), stillThere(now), ago(now.ExpiresIn))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return v.broken(ctx, ctx.Err())
		}
		asked := time.Now()
		if now, err = v.look(ctx); err != nil {
			return v.broken(ctx, err)
		}
		if !gone(before, now) && now.ExpiresIn != nil {
			over = asked.Add(*now.ExpiresIn) // another library's client may have made it longer
		}
	}
}

// look is what is left of those that are meant.
func (v *revocation) look(ctx context.Context) (lockclient.Info, error) {
	i, err := v.client.Inspect(ctx, v.key)
	return addressed(i, v.fence), err
}

// gone reports whether the hold that was there before no longer is. The next holder's
// is not revoked. Of two foreign ones nothing tells one from the other, so that the
// second is waited for like the first, within the bound.
func gone(before, now lockclient.Info) bool {
	switch {
	case !now.Held:
		return true
	case before.Foreign || now.Foreign:
		return before.Foreign != now.Foreign
	}
	return !now.Revoked && len(now.Holders) == 0
}

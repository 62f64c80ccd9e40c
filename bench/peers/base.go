package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/turnstile-go/turnstile/bench"
)

// compareWith measures another revision of Turnstile and this one in alternate rounds,
// and prints what changed beyond the noise. This revision's bench drives both, so
// that only the product differs. The rivals are left out: they are the same in both.
func compareWith(ctx context.Context, revision string, rounds int, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "turnstile-numbers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	base, err := buildAt(ctx, revision, dir, stderr)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	sides := [2]string{base, self}
	var measured [2][]*bench.Report
	for round := range rounds {
		for i := range sides {
			side := (i + round) % 2                                                                              // the second of a round meets a warmer machine
			fmt.Fprintf(stderr, "round %d of %d: %s\n", round+1, rounds, [2]string{revision, "this tree"}[side]) // progress only
			r, err := measureOnce(ctx, sides[side], stderr)
			if err != nil {
				return err
			}
			measured[side] = append(measured[side], r)
		}
	}
	return writeChanges(stdout, revision, measured)
}

// buildAt builds this command over another revision of the module.
func buildAt(ctx context.Context, revision, dir string, stderr io.Writer) (binary string, err error) {
	tree := filepath.Join(dir, "tree")
	if err := lay(ctx, revision, tree, stderr); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "peers-base")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir, build.Stderr = filepath.Join(tree, "bench", "peers"), stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("this bench does not build over %s: %w", revision, err)
	}
	return binary, nil
}

// lay puts a revision's tree into a directory, and this tree's bench and internal over it.
func lay(ctx context.Context, revision, tree string, stderr io.Writer) error {
	top, err := output(ctx, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	archive, err := outputIn(ctx, top, "git", "archive", revision)
	if err != nil {
		return err
	}
	untar := exec.CommandContext(ctx, "tar", "-x", "-C", tree)
	untar.Stdin, untar.Stderr = bytes.NewReader(archive), stderr
	if err := untar.Run(); err != nil {
		return fmt.Errorf("tar: %w", err)
	}
	for _, part := range []string{"bench", "internal"} {
		if err := os.RemoveAll(filepath.Join(tree, part)); err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(tree, part), os.DirFS(filepath.Join(top, part))); err != nil {
			return err
		}
	}
	return nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := outputIn(ctx, "", name, args...)
	return strings.TrimSpace(string(out)), err
}

func outputIn(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	out, err := c.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

func measureOnce(ctx context.Context, binary string, stderr io.Writer) (*bench.Report, error) {
	c := exec.CommandContext(ctx, binary, "-numbers", "-own", "-rounds", "1", "-json")
	c.Stderr = stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(binary), err)
	}
	return bench.ReadReport(bytes.NewReader(out))
}

// A change is a figure of a row in both revisions, round by round.
type change struct {
	row, strategy string
	column        column
	ratios        bench.Spread // of this tree's to the base's, over the rounds
	base, now     bench.Spread
}

// noise is how far a median may move without being called a change, even if all
// rounds agree: two builds of one revision differ by as much.
const noise = 0.05

// verdict is "better" or "worse" where every round agrees on it, and the median moved
// by more than noise.
func (c change) verdict() string {
	agree := c.ratios.Min > 1 || c.ratios.Max < 1
	moved := c.ratios.Median > 1+noise || c.ratios.Median < 1-noise
	switch {
	case !agree || !moved || c.ratios.N < 3:
		return "–"
	case c.ratios.Median < 1 == c.column.lower:
		return "better"
	}
	return "worse"
}

func writeChanges(w io.Writer, revision string, measured [2][]*bench.Report) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s → this tree; a change is one on which all rounds agree, of more than %.0f %%\n\n", revision, noise*100)
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\tstrategy\tfigure\tbefore\tnow\tratio\trounds\t") // buffered until Flush, into a Builder
	for _, c := range changes(measured) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s ×\t%s to %s\t%s\n", // as above
			c.row, c.strategy, c.column.name, c.column.text(c.base.Median), c.column.text(c.now.Median),
			bench.Number(c.ratios.Median), bench.Number(c.ratios.Min), bench.Number(c.ratios.Max), c.verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// changes pairs the figures that both revisions measured in the same round.
func changes(measured [2][]*bench.Report) (all []change) {
	for _, row := range judged(rows(), true) {
		for _, strategy := range row.strategies {
			for _, c := range []column{rate, waitP50, waitP99, grantP50, requests, clientCPU, serverCPU, allocs} {
				var ratios, base, now []float64
				for i := range min(len(measured[0]), len(measured[1])) {
					before, ok := figure(measured[0][i], row, strategy, c)
					after, found := figure(measured[1][i], row, strategy, c)
					if ok && found && before > 0 {
						ratios, base, now = append(ratios, after/before), append(base, before), append(now, after)
					}
				}
				if len(ratios) > 0 {
					all = append(all, change{row.name, strategy, c, bench.SpreadOf(ratios), bench.SpreadOf(base), bench.SpreadOf(now)})
				}
			}
		}
	}
	return all
}

func figure(r *bench.Report, of row, strategy string, c column) (float64, bool) {
	rounds := figuresOf(r, of)
	at := slices.IndexFunc(rounds, func(round map[string]*bench.Run) bool { return round[strategy] != nil })
	if at < 0 {
		return 0, false
	}
	return value(rounds[at], strategy, c)
}

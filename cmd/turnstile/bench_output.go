package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/report"
)

// outputs are where a report goes: stdout, and the files that were asked for.
type outputs struct {
	json                bool
	format              string // table or gobench
	page, save, figures string
	files               []*target
}

func (o *outputs) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.format, "format", "table", "`FORMAT` on stdout: table, or gobench for benchstat")
	flags.BoolVar(&o.json, "json", false, "one JSON document on stdout instead")
	flags.StringVar(&o.page, "report", "", "write a page with charts to `FILE` (HTML)")
	flags.StringVar(&o.save, "save", "", "write the JSON to `FILE` as well")
	flags.StringVar(&o.figures, "figures", "", "write two charts as SVG, for light and dark pages, into `DIR`")
}

func (o *outputs) check(cmd *cobra.Command) error {
	switch {
	case o.format != "table" && o.format != "gobench":
		return usage("--format %q: table or gobench", o.format)
	case o.json && cmd.Flags().Changed("format"):
		return usage("--json and --format together: choose one")
	}
	for flag, path := range map[string]string{"report": o.page, "save": o.save, "figures": o.figures} {
		if path == "" && cmd.Flags().Changed(flag) {
			return usage("--%s \"\": name a file", flag)
		}
	}
	return nil
}

// A target is a file that a report is written to.
type target struct {
	path  string
	temp  *os.File // takes its place when all is written; nil where the path is no plain file
	write func(io.Writer, *bench.Report) error
}

// open makes sure that files can be written before minutes go by. What is there
// stays until there is something to take its place.
func (o *outputs) open() (err error) {
	defer func() {
		if err != nil {
			o.discard()
			err = usage("%w", err)
		}
	}()
	if o.save != "" {
		o.files = append(o.files, &target{path: o.save, write: func(w io.Writer, r *bench.Report) error { return r.Write(w) }})
	}
	if o.page != "" {
		o.files = append(o.files, &target{path: o.page, write: report.Write})
	}
	if o.figures != "" {
		if err := os.MkdirAll(o.figures, 0o755); err != nil {
			return err
		}
		o.files = append(o.files, figures(o.figures)...)
	}
	for _, t := range o.files {
		if info, err := os.Stat(t.path); err == nil && !info.Mode().IsRegular() {
			if info.IsDir() {
				return fmt.Errorf("%s is a directory", t.path)
			}
			continue // a pipe, or /dev/stdout: nothing may take its place
		}
		if t.temp, err = os.CreateTemp(filepath.Dir(t.path), "."+filepath.Base(t.path)+"-"); err != nil {
			return err
		}
	}
	return nil
}

func figures(dir string) (files []*target) {
	for _, figure := range []string{report.FigureThroughput, report.FigureWaits} {
		for _, dark := range []bool{false, true} {
			name := figure + "-light.svg"
			if dark {
				name = figure + "-dark.svg"
			}
			files = append(files, &target{path: filepath.Join(dir, name), write: func(w io.Writer, r *bench.Report) error {
				return report.SVG(w, r, figure, dark)
			}})
		}
	}
	return files
}

func (o *outputs) discard() {
	for _, t := range o.files {
		if t.temp != nil {
			_ = t.temp.Close() // it is not used
			_ = os.Remove(t.temp.Name())
			t.temp = nil
		}
	}
}

// write shows the report. Files come first: a reader of stdout may be gone.
func (o *outputs) write(stdout io.Writer, r *bench.Report) error {
	defer o.discard()
	var errs []error
	for _, t := range o.files {
		if err := t.put(r); err != nil {
			errs = append(errs, &exitError{code: exitFailed, err: fmt.Errorf("%s: %w", t.path, err)})
		}
	}
	show := r.WriteTable
	switch {
	case o.json:
		show = r.Write
	case o.format == "gobench":
		show = r.WriteGobench
	}
	if err := show(stdout); err != nil {
		errs = append(errs, &exitError{code: exitFailed, err: err})
	}
	return errors.Join(errs...)
}

func (t *target) put(r *bench.Report) error {
	if t.temp == nil {
		f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(t.write(f, r), f.Close())
	}
	if err := errors.Join(t.write(t.temp, r), t.temp.Chmod(0o644), t.temp.Close()); err != nil {
		return err
	}
	err := os.Rename(t.temp.Name(), t.path)
	if err == nil {
		t.temp = nil
	}
	return err
}

// former reads a report that was saved.
func (f *benchFlags) former(cmd *cobra.Command) (*bench.Report, error) {
	for _, flag := range measuringFlags {
		if cmd.Flags().Changed(flag) {
			return nil, usage("--%s and --from together: nothing is measured", flag)
		}
	}
	from := os.Stdin
	if f.from != "-" {
		file, err := os.Open(f.from)
		if err != nil {
			return nil, usage("--from: %w", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		from = file
	}
	r, err := bench.ReadReport(from)
	if err != nil {
		return nil, usage("--from %s: %s", f.from, strings.TrimPrefix(err.Error(), "bench: "))
	}
	if err := only(r, f.strategies); err != nil {
		return nil, err
	}
	return r, f.out.open()
}

// only leaves in a report what is about some strategies, in their order.
func only(r *bench.Report, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var listed []bench.Listed
	for _, name := range names {
		at := slices.IndexFunc(r.Strategies, func(l bench.Listed) bool { return l.Name == name })
		if at < 0 {
			return usage("--strategies: %q was not measured", name)
		}
		listed = append(listed, r.Strategies[at])
	}
	r.Strategies = listed
	r.Runs = slices.DeleteFunc(r.Runs, func(one bench.Run) bool { return !slices.Contains(names, one.Strategy) })
	r.Failures = slices.DeleteFunc(r.Failures, func(one bench.Failure) bool { return !slices.Contains(names, one.Strategy) })
	return nil
}

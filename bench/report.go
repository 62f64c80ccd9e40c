package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

func newReport(p Plan) *Report {
	r := &Report{Version: FormatVersion, Started: time.Now(), Command: slices.Clone(os.Args), Environment: environment()}
	for _, s := range p.Strategies {
		r.Strategies = append(r.Strategies, Listed{s.Name(), s.Describe()})
	}
	return r
}

func (r *Report) add(m Measured) {
	r.Runs = append(r.Runs, m.Run)
	r.Failures = append(r.Failures, m.Failures...)
	if servers := &r.Environment.Servers; m.Server != "" && !slices.Contains(*servers, m.Server) {
		*servers = append(*servers, m.Server)
	}
}

func (r *Report) end() {
	r.Took = time.Since(r.Started).Seconds()
	r.Environment.Load = appendLoad(r.Environment.Load)
}

// Write writes the report as JSON.
func (r *Report) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // the commands in it are for people
	e.SetIndent("", " ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("bench: report: %w", err)
	}
	return nil
}

// ReadReport reads what Write wrote. A report of another version is an error: its
// figures may mean something else.
func ReadReport(from io.Reader) (*Report, error) {
	var r Report
	d := json.NewDecoder(from)
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("bench: report: %w", err)
	}
	if r.Version != FormatVersion {
		return nil, fmt.Errorf("bench: report: version %d, this program reads %d", r.Version, FormatVersion)
	}
	return &r, nil
}

// Err is an error if any run is not to be believed, as a program's exit status says.
func (r *Report) Err() error {
	if n := len(r.Failures); n > 0 {
		f := r.Failures[0]
		return fmt.Errorf("bench: %d failures; the first: %s, %s at %v: %s: %s", n, f.Strategy, f.Experiment, f.X, f.Kind, f.What)
	}
	if r.Cut {
		return errCut
	}
	return nil
}

var errCut = errors.New("bench: broken off before the end of the plan")

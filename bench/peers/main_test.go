package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is a worker as well: the workers of a test are the test's binary.
func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(workerEnv); ok {
		if err := work(text, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "worker of a test:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// careless is a lock that lets everybody in.
type careless struct{}

func (careless) acquire(context.Context, string) (func() error, uint64, error) {
	return func() error { return nil }, 0, nil
}
func (careless) close() error { return nil }

func TestALockThatDoesNotExcludeFailsTheRun(t *testing.T) {
	rec, err := openRecord("", 1)
	if err != nil {
		t.Fatal(err)
	}
	s := &soloist{job: newLoad(careless{}, rec, spec{Goroutines: 16, Keys: 1}), done: make(chan outcome, 1), hung: time.NewTimer(time.Minute)}
	s.ctx, s.cancel = context.WithTimeout(t.Context(), time.Minute)
	nothing := func() error { return nil }
	_, err = conduct([]performer{s}, timing{Duration: 50 * time.Millisecond}, nothing, nothing)
	if err == nil || !strings.Contains(err.Error(), "OVERLAP") {
		t.Errorf("got %v, want an overlap", err)
	}
	if err := s.dismiss(); err != nil {
		t.Error(err)
	}
}

func TestTheRecordFindsOverlapsAcrossMappings(t *testing.T) {
	path, err := createRecord(2)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path) //nolint:errcheck // a temporary file
	one, err := openRecord(path, 2)
	if err != nil {
		t.Fatal(err)
	}
	two, err := openRecord(path, 2)
	if err != nil {
		t.Fatal(err)
	}
	a, b := callerID(0, 3), callerID(1, 5)
	expect := func(what string, err error, want string) {
		t.Helper()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	expect("first in", one.enter(1, a, 10), "")
	expect("second in", two.enter(1, b, 11), "OVERLAP: key 1: process 1 goroutine 5 got it while process 0 goroutine 3 was in")
	expect("another key", two.enter(0, b, 1), "")
	expect("out", one.leave(1, a), "")
	expect("out twice", one.leave(1, a), "OVERLAP")
	expect("the same fence again", two.enter(1, b, 10), "FENCE")
	expect("out", two.leave(1, b), "")
	expect("a newer fence", one.enter(1, a, 12), "")
}

// Everything, once and briefly: what each strategy does is real.
func TestEveryWorkloadMeasuresEveryStrategy(t *testing.T) {
	var out, progress bytes.Buffer
	if err := run([]string{"-rounds", "1", "-duration", "100ms", "-warmup", "50ms", "-json"}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Tables) != len(workloads()) {
		t.Errorf("%d tables, want %d", len(r.Tables), len(workloads()))
	}
	for _, table := range r.Tables {
		first := table.Columns[0]
		for _, name := range table.Strategies {
			// A library that barges may not hand over once in so short a run.
			if s, err := strategyNamed(name); first == grantP50 && err == nil && s.peer {
				first = holdsRate
			}
			// And one that strands its waiters may do so from the start.
			if row := table.Medians[name]; row[first] <= 0 && row[stranded] == 0 {
				t.Errorf("%s: %s: no %s", table.Name, name, first)
			}
		}
		for _, res := range table.Results {
			if res.Median == 0 {
				t.Errorf("%s: nothing to judge %s by", table.Name, res.Column)
			}
		}
	}
}

func TestAWorkerThatCannotStartIsAnError(t *testing.T) {
	w, err := newWorker(spec{Strategy: "no such thing", Budget: time.Second})
	if err == nil {
		_ = w.dismiss()
		t.Error("it started")
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{
		{"-workloads", "hot,nonsense"}, {"-workloads", "hot,hot"}, {"-workloads", ""},
		{"-rounds", "0"}, {"-duration", "0s"}, {"hot"}, {"-nonsense"},
	} {
		var out, errs bytes.Buffer
		if err := run(args, &out, &errs); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

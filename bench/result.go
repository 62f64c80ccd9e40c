package bench

import "time"

// FormatVersion is that of a Report's JSON.
const FormatVersion = 1

// A Report is everything that was measured, and what one needs to measure it again.
type Report struct {
	Version     int         `json:"version"`
	Started     time.Time   `json:"started"`
	Took        float64     `json:"took_seconds"`
	Command     []string    `json:"command"` // to rerun it
	Environment Environment `json:"environment"`
	Strategies  []Listed    `json:"strategies"` // in the order in which they are shown
	Runs        []Run       `json:"runs"`
	// Failures stand first on the page: a run with an overlap proves nothing else.
	Failures []Failure `json:"failures,omitempty"`
	// Cut says that the report was broken off: runs that were planned are missing.
	Cut bool `json:"cut,omitempty"`
}

// An Environment is what figures depend on beside the code.
type Environment struct {
	Go       string   `json:"go"`
	Platform string   `json:"platform"` // linux/amd64
	Kernel   string   `json:"kernel,omitempty"`
	CPU      string   `json:"cpu,omitempty"` // model
	CPUs     int      `json:"cpus"`          // that Go may use
	Memory   uint64   `json:"memory_bytes,omitempty"`
	Load     []string `json:"load,omitempty"`    // averages before the first run, and after the last
	Servers  []string `json:"servers,omitempty"` // versions, as they tell them
	Modules  []string `json:"modules,omitempty"` // of drivers and rivals, with versions
	Commit   string   `json:"commit,omitempty"`
}

// A Listed is a strategy as the report shows it.
type Listed struct {
	Name string `json:"name"`
	Description
}

// The experiments: a run belongs to one. X is what varies within it.
const (
	Contenders = "contenders" // X: goroutines on one key
	Keys       = "keys"       // X: how many keys there are
	Processes  = "processes"  // X: processes on one key
	RoundTrips = "round-trip" // X: seconds added to each request and its reply
	Readers    = "readers"    // X: goroutines on one key, nine of ten holds shared
	Slots      = "slots"      // X: how many of 64 goroutines hold the key at a time
	Recovery   = "recovery"   // a holder is killed; X is its lease in seconds
	OpenLoop   = "open-loop"  // X: planned holds a second
	Custom     = "custom"     // one workload, as asked for on the command line
)

// A Run is one strategy under one workload, once. Times are seconds.
type Run struct {
	Strategy   string   `json:"strategy"`
	Experiment string   `json:"experiment"`
	X          float64  `json:"x"`
	Round      int      `json:"round"` // from 1; rounds are interleaved
	Workload   Workload `json:"workload"`

	Elapsed float64 `json:"elapsed"`
	Holds   uint64  `json:"holds"`
	Rate    float64 `json:"holds_per_second"`

	// Jain's index over the contenders' holds, 1/n to 1; and over the processes'.
	Jain          float64  `json:"jain"`
	JainProcesses float64  `json:"jain_processes,omitempty"`
	PerContender  []uint64 `json:"per_contender,omitempty"` // holds of each, when there are at most 1 024
	Order         []int    `json:"order,omitempty"`         // the contenders of some hundred grants in a row, one key

	Wait  Distribution  `json:"wait"`            // from the call, or its planned start, to the grant
	Grant *Distribution `json:"grant,omitempty"` // from a release to the next grant of the key, contended

	Sent     *float64 `json:"requests_per_hold,omitempty"` // that travelled to the server
	Executed *float64 `json:"commands_per_hold,omitempty"` // that the server ran, those in scripts too

	// The processor time of a hold, in seconds, and the heap objects it made, both
	// with the driver's own part; nil if unknown.
	ClientCPU *float64 `json:"client_cpu_per_hold,omitempty"`
	ServerCPU *float64 `json:"server_cpu_per_hold,omitempty"`
	Allocs    *float64 `json:"allocs_per_hold,omitempty"`

	Recovery []float64 `json:"recovery,omitempty"` // from a holder's SIGKILL to the next grant

	// NoneFree is how many planned starts of an open loop found all goroutines busy.
	// Their waits count all the same.
	NoneFree uint64 `json:"none_free,omitempty"`
	// Delay is what the proxy really added to a round trip.
	Delay float64 `json:"delay,omitempty"`

	Stranded int `json:"stranded,omitempty"` // waiters that were forgotten at the end
	Overlaps int `json:"overlaps,omitempty"` // holds that met another one

	// Cut says that the run was broken off: it measured less than its duration.
	Cut bool `json:"cut,omitempty"`
}

// A Distribution is a histogram's summary, in seconds.
type Distribution struct {
	Count     uint64     `json:"count"`
	Min       float64    `json:"min"`
	Mean      float64    `json:"mean"`
	Max       float64    `json:"max"`
	Quantiles []Quantile `json:"quantiles"` // rising, dense towards 1: enough to draw it
}

// A Quantile says that the part Q (0 to 1) of the values is at most V seconds.
type Quantile struct {
	Q float64 `json:"q"`
	V float64 `json:"v"`
}

// A Failure is a run that is not to be believed.
type Failure struct {
	Strategy   string  `json:"strategy"`
	Experiment string  `json:"experiment"`
	X          float64 `json:"x"`
	Round      int     `json:"round"`
	Kind       string  `json:"kind"` // overlap, fence, stranded, error
	What       string  `json:"what"`
}

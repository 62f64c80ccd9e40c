package bench

import "context"

// A Strategy is one way to lock by key. It is described before it is opened, and
// opened afresh for every run, in every process that takes part.
type Strategy interface {
	// Name is short and unique: it names the strategy on the command line, in
	// tables and in charts.
	Name() string
	// Describe says how it is set up, for the report's reader.
	Describe() Description
	// Open connects to where the locks live. The returned Locker is used by many
	// goroutines until it is closed.
	Open(ctx context.Context, at Place) (Locker, error)
}

// A Description is what a reader has to know of a strategy to judge its figures.
type Description struct {
	Settings string `json:"settings"` // every setting that is not a default, and the defaults that matter
	Place    string `json:"place"`    // PlaceProcess, PlaceEmbedded, PlaceFile, PlaceRedis, PlaceMemcached, PlaceEtcd
	Peer     bool   `json:"peer"`     // another library's, or a seed's loop: what ours is compared with
	// Kinds of hold that it has beside exclusive ones: KindShared if its Locker is a Sharer, KindSlots
	// if it is a Slotter.
	Kinds []string `json:"kinds,omitempty"`
	// Unsafe strategies excuse nobody: their overlaps fail the run like all others'. It says
	// that the strategy promises no exclusion, so that it is not chosen by default.
	Unsafe bool `json:"unsafe,omitempty"`
	// MaxContenders bounds the workloads that it is measured in, where more fail at its
	// server and not at the lock; 0: none. Its curves end there.
	MaxContenders int `json:"max_contenders,omitempty"`
}

// Where a strategy's locks live.
const (
	PlaceProcess   = "process" // in this process's memory: one process only
	PlaceEmbedded  = "embedded"
	PlaceFile      = "file"
	PlaceRedis     = "redis"
	PlaceMemcached = "memcached"
	PlaceEtcd      = "etcd"
)

// A Place is where the locks of one run live: a fresh server or directory.
type Place struct {
	Addr string // HOST:PORT of the server, or of the proxy before it
	Dir  string // an empty directory that all processes of the run share
	Run  string // unique to the run: a name for what is shared within a process
}

// A Locker takes keys.
type Locker interface {
	// Lock blocks until the key is the caller's or ctx ends.
	Lock(ctx context.Context, key string) (Held, error)
	// Close gives back what Open took. It is called once, when nobody holds anything.
	Close() error
}

// Held is one hold.
type Held interface {
	// Fence is the hold's fence, 0 where the strategy has none.
	Fence() uint64
	// Unlock gives the key back.
	Unlock() error
}

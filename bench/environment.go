package bench

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// environment is what figures depend on beside the code. What a system does not
// tell is left out.
func environment() Environment {
	e := Environment{
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0),
		Kernel: firstLine("/proc/sys/kernel/osrelease"),
		CPU:    procField("/proc/cpuinfo", "model name"),
		Load:   appendLoad(nil),
	}
	if kb, _, _ := strings.Cut(procField("/proc/meminfo", "MemTotal"), " "); kb != "" {
		if n, err := strconv.ParseUint(kb, 10, 64); err == nil {
			e.Memory = n << 10
		}
	}
	e.Modules, e.Commit = built()
	return e
}

// appendLoad adds the averages of this moment: whoever compares has to know how
// busy the machine was with other things.
func appendLoad(load []string) []string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	if len(fields) < 3 {
		return load
	}
	return append(load, strings.Join(fields[:3], " "))
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "" // not this system's way
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// procField is the first "name: value" of a file under /proc.
func procField(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// told are the modules whose versions matter to a reader: drivers, rivals, and
// what ours is made of. A program has only those that it was built with.
var told = []string{
	"redis/go-redis/v9", "bradfitz/gomemcache", "yuin/gopher-lua", "asynkron/protoactor-go", "HdrHistogram/hdrhistogram-go",
	"go-redsync/redsync/v4", "bsm/redislock", "redis/rueidis", "redis/rueidis/rueidislock", "moby/locker", "golang.org/x/sync", "etcd/client/v3",
}

// built are the versions that were built in, which need not be the newest.
func built() (modules []string, commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, ""
	}
	for _, m := range info.Deps {
		if slices.ContainsFunc(told, func(t string) bool { return m.Path == t || strings.HasSuffix(m.Path, "/"+t) }) {
			modules = append(modules, m.Path+" "+m.Version)
		}
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value + commit
		case s.Key == "vcs.modified" && s.Value == "true":
			commit += ", with changes"
		}
	}
	return modules, commit
}

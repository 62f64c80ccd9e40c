// Package main is the turnstile command: it runs other commands under a lock,
// tells who holds which, and frees one by force.
//
//	main.go       where it starts; root.go the flags of all commands, version.go
//	message.go    the form of a message; spool.go its way to stderr
//	backend.go    how all commands open the backend; words.go, exit.go what went wrong
//	list.go       `turnstile ls`; show.go, release.go what their names say
//	completion.go, man.go  what a shell and man(1) are told of all this
//	run.go        `turnstile run`: its flags, and the plan that comes of them
//	program.go    the command's file, found and run as execvp(3) does
//	execute.go    acquire, start, supervise, release
//	waiting.go    what -v tells of a wait
//	supervise.go  the state machine that ends a command whose hold is going
//	reap_*.go     orphans, where they are ours to reap
//	child.go      the command's process group; terminal.go who has the terminal
//	bench.go      `turnstile bench`; bench_flags.go, bench_plan.go what it is asked for
//	bench_progress.go, bench_output.go  what it says meanwhile, and at the end
//	internal/     guard, the process that ends the group if turnstile is killed;
//	              inherited, the signals that our caller ignores
//
// # What holds while a command runs
//
//  1. The command is started only under a hold, and gets no second one.
//  2. When the hold can't be renewed, the command's process group is gone before
//     the deadline; until it is gone the hold is not released.
//  3. When the command ends by itself the hold is released at once: what it left
//     running in the background goes on without the lock. Let the command wait
//     for what the lock must cover.
//  4. If turnstile is killed, the guard ends the group, and only then lets go of a
//     file:// session.
//
// Children of the command that left the group are out of reach: those that made a
// session of their own (setsid, daemons). A guard that is killed is replaced, but
// not while turnstile itself is stopped or gone, nor the fourth within a minute.
package main

import (
	"os"

	cmap "github.com/orcaman/concurrent-map"

	"github.com/turnstile-go/turnstile/bench"
)

func main() {
	// We ignore the signals that our caller ignores, and so does the command.
	keepIgnored()
	// A process that a bench has started is its worker and nothing else; any other
	// pays the look at one variable.
	if bench.RunWorker(findStrategy) {
		return
	}
	// The actor system makes 1024 maps of this many shards each, for thousands of
	// actors at once: 33 000 maps, and a garbage collection, before a command starts
	// (measured: 20 ms of CPU). This process has one actor. The setting is one of the
	// process, so that it is the command's to make and not the library's.
	cmap.SHARD_COUNT = 1
	os.Exit(start(os.Args, os.Stdout, os.Stderr))
}

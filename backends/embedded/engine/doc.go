// Package engine runs Redis's Lua scripts over a keyspace in this process.
//
// It is gopher-lua with what Redis puts around Lua: KEYS, ARGV, redis.call and
// its kin, the conversion of values both ways, and globals that no script can
// write. A script that runs here runs on a server, and says the same there;
// the reverse holds for the commands of package keyspace and for the part of
// Lua's library that lock scripts need (no io, no load, no
// metatables, no coroutines).
//
// What it keeps true:
//
//  1. A VM is used by one goroutine at a time; it shares nothing with others.
//  2. Nothing of one run is seen by the next: globals and library tables can't
//     be written, KEYS and ARGV are filled anew.
//  3. Every run ends: by its return, an error, or its budget of rounds.
//  4. A failed run leaves the VM usable. Whatever raised an error, a Go panic
//     in a command included, costs the interpreter, which is built anew.
//
// The hot path is the fast script on a quiet key: some 25 calls of the library, of which
// seven are commands. It is cheap because:
//
//   - A script is compiled once, and its functions are made once and not with every
//     run; names of the library are bound once (compile.go).
//   - Functions at a script's head that have no loop, and the way of a script for one item,
//     run as closures of Go; gopher-lua takes longer to call the library than most of its
//     functions run (straight.go).
//   - A run counts its rounds, and not its instructions (meter.go).
//   - Values are allocated many at a time (boxes.go), and the tables of replies are
//     used again (tables.go).
//   - A lock script formats and parses numbers above all. Neither that nor putting
//     strings together takes a detour over package fmt and gopher-lua's own ways.
package engine

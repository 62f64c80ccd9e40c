package actors

import (
	"log/slog"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// system is the actor system of this process, made when the first coordinator needs
// it: one costs 2.9 MB and 5 to 9 ms, which a client must not.
//
// Nothing of a coordinator stays in it: each drains its own actors, and an actor that
// stopped is out of its registry. It has no goroutine and no timer, and its one
// channel is that of its Shutdown, which nobody calls; so it may be made in a synctest
// bubble and used outside.
var system = sync.OnceValue(func() *actor.ActorSystem {
	quiet := slog.New(slog.DiscardHandler)
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
	)
})

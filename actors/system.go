package actors

import (
	"log/slog"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// system is the actor system of this process. It is made when the first coordinator
// needs it: one costs 2.9 MB and 5 to 9 ms, too much for each client.
//
// It keeps nothing of a coordinator: each drains its own actors, and an actor that
// stopped is out of the registry. It has no goroutine and no timer. Its one channel
// is that of its Shutdown, which nobody calls; so it may be made in a synctest
// bubble and used outside.
var system = sync.OnceValue(func() *actor.ActorSystem {
	quiet := slog.New(slog.DiscardHandler)
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
	)
})

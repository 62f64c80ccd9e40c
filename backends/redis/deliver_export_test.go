package redis

import "context"

// DeliverMost is how many messages wait to be published at most.
const DeliverMost = deliverMost

// DeliverBy has the scripts hand their messages to the backend, as on a Cluster
// with sharded channels, and the backend publish them so. Call it before
// anything else.
func (b *Backend) DeliverBy(publish func(ctx context.Context, channel, message string) error) {
	b.deliverer = newDeliverer(publish, func(string) string { return "" })
	b.pushes.byCaller.Store(true)
}

// Deliver is what happens to a script's message.
func (b *Backend) Deliver(session, message string) { b.deliver([]told{{session, message}}) }

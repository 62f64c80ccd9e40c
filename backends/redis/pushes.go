package redis

import (
	"context"
	"strings"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
)

// pushes is how messages get to inboxes.
//
// On one server the scripts publish. On a Cluster a plain message would go to
// every node, whoever has a use for it; so where the nodes have sharded
// channels (Redis 7), an inbox is one, on the node that its name's slot has. A
// script can publish there only if it runs on that node; so it hands its
// messages to its caller instead, who publishes them. Should the caller die in
// between, or a message be lost, a heartbeat finds out, as always.
type pushes struct {
	client   goredis.UniversalClient
	topology *topology
	sharded  atomic.Bool // inboxes are sharded channels
	byCaller atomic.Bool // scripts hand their messages over
	fallback atomic.Bool // a node can't: the next connection is to a plain channel
}

func newPushes(client goredis.UniversalClient, t *topology) *pushes {
	p := &pushes{client: client, topology: t}
	p.afresh()
	return p
}

// afresh tries sharded channels on a Cluster, until a node says that it can't. So
// it does for every new connection: nodes get upgraded, one after the other, and
// in the end all sessions have to meet in the new way. The connection that follows
// such an answer is the exception.
func (p *pushes) afresh() {
	if p.topology.form == cluster && !p.fallback.Swap(false) {
		p.sharded.Store(true)
		p.byCaller.Store(true)
	}
}

// What a verb's push says: who publishes what the script has to tell.
const (
	pushByScript = "1"
	pushByCaller = "0"
)

// push is what the scripts are told.
func (p *pushes) push() string {
	if p.byCaller.Load() {
		return pushByCaller
	}
	return pushByScript
}

// open makes a subscription to nothing yet: nothing is sent.
func (p *pushes) open(ctx context.Context) *goredis.PubSub { return p.client.Subscribe(ctx) }

// subscribe asks for a channel. That it was understood shows in what is received.
func (p *pushes) subscribe(ctx context.Context, sub *goredis.PubSub, channel string) error {
	if p.sharded.Load() {
		return sub.SSubscribe(ctx, channel)
	}
	return sub.Subscribe(ctx, channel)
}

// publish sends one message.
func (p *pushes) publish(ctx context.Context, channel, message string) error {
	if p.sharded.Load() {
		err := p.client.SPublish(ctx, channel, message).Err()
		if !p.lacks(err) {
			return err
		}
	}
	return p.client.Publish(ctx, channel, message).Err()
}

// lacks notes that a node is too old for sharded channels. Then there are none
// for anybody: the sessions of one Cluster have to agree on how they meet.
func (p *pushes) lacks(err error) bool {
	if err == nil || !p.sharded.Load() || !goredis.HasErrorPrefix(err, "unknown command") {
		return false
	}
	said := strings.ToLower(err.Error())
	if !strings.Contains(said, "ssubscribe") && !strings.Contains(said, "spublish") {
		return false
	}
	p.fallback.Store(true)
	p.sharded.Store(false)
	p.byCaller.Store(false)
	return true
}

// grants are the commands that a user needs for an inbox.
func (p *pushes) grants() string {
	if p.sharded.Load() {
		return "+ssubscribe +spublish"
	}
	return "+subscribe +publish"
}

// passing are the errors by which a node says that it is not the one to ask, or
// not now. They say nothing of the user's permissions.
var passing = []string{"MOVED ", "ASK ", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN", "READONLY"}

// passes reports whether a node's refusal of a subscription will not last.
func (p *pushes) passes(err error) bool {
	for _, prefix := range passing {
		if goredis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return p.lacks(err)
}

package redis

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// An endpoint puts in the host that a Cluster's node leaves out. A node that doesn't
// know its own host names none, and means the host that was asked. (It has
// cluster-preferred-endpoint-type unknown-endpoint; or hostname, and no hostname is
// set.) The driver can't read that.
type endpoint struct{ host string }

// newNode is the driver's NewClient of a Cluster's nodes.
func newNode(o *goredis.Options) *goredis.Client {
	node := goredis.NewClient(o)
	if host, _, err := net.SplitHostPort(o.Addr); err == nil {
		node.AddHook(endpoint{host})
	}
	return node
}

var _ goredis.Hook = endpoint{}

// DialHook leaves dialling alone.
func (endpoint) DialHook(next goredis.DialHook) goredis.DialHook { return next }

// ProcessPipelineHook completes the redirections of a pipeline.
func (e endpoint) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		err := next(ctx, cmds)
		for _, c := range cmds {
			if whole := e.complete(c.Err()); whole != c.Err() { //nolint:errorlint // it asks whether it is the same one
				c.SetErr(whole)
			}
		}
		return e.complete(err)
	}
}

// ProcessHook completes the list of slots, and redirections.
func (e endpoint) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if slots, ok := cmd.(*goredis.ClusterSlotsCmd); ok {
			return e.slots(ctx, next, slots)
		}
		err := next(ctx, cmd)
		whole := e.complete(err)
		if whole != err { //nolint:errorlint // as above
			cmd.SetErr(whole)
		}
		return whole
	}
}

// unknown reports whether a node gave no host: it is empty by unknown-endpoint, "?"
// where it is to tell a hostname and was given none.
func unknown(host string) bool { return host == "" || host == "?" }

// redirected is a redirection whose host was put in.
type redirected string

func (r redirected) Error() string { return string(r) }
func (redirected) RedisError()     {}

// complete reads "MOVED 3999 :6381" and "MOVED 3999 ?:6381" as "MOVED 3999 host:6381",
// and ASK alike.
func (e endpoint) complete(err error) error {
	if err == nil || !goredis.HasErrorPrefix(err, "MOVED ") && !goredis.HasErrorPrefix(err, "ASK ") {
		return err
	}
	words := strings.Split(err.Error(), " ")
	if len(words) != 3 {
		return err
	}
	colon := strings.LastIndexByte(words[2], ':') // the last: an IPv6 address has no brackets there
	if colon < 0 || !unknown(words[2][:colon]) {
		return err
	}
	return redirected(words[0] + " " + words[1] + " " + net.JoinHostPort(e.host, words[2][colon+1:]))
}

var errSlots = errors.New("the Cluster's list of slots makes no sense")

// slots asks for the list in the driver's place.
func (e endpoint) slots(ctx context.Context, next goredis.ProcessHook, to *goredis.ClusterSlotsCmd) error {
	raw := goredis.NewSliceCmd(ctx, "cluster", "slots")
	if err := next(ctx, raw); err != nil {
		to.SetErr(err)
		return err
	}
	var all []goredis.ClusterSlot
	for _, v := range raw.Val() {
		slot, ok := e.slot(list(v))
		if !ok {
			to.SetErr(errSlots)
			return errSlots
		}
		all = append(all, slot)
	}
	to.SetVal(all)
	return nil
}

// slot reads {start, end, {host, port, id, …}, …}.
func (e endpoint) slot(l fields) (s goredis.ClusterSlot, ok bool) {
	start, ok1 := l.number(0)
	end, ok2 := l.number(1)
	if !ok1 || !ok2 {
		return s, false
	}
	s.Start, s.End = int(start), int(end)
	for _, v := range l[2:] {
		node := list(v)
		host, known := node.text(0)
		port, ok := node.number(1)
		if !ok {
			return s, false
		}
		if !known || unknown(host) {
			host = e.host
		}
		id, _ := node.text(2)
		s.Nodes = append(s.Nodes, goredis.ClusterNode{ID: id, Addr: net.JoinHostPort(host, strconv.FormatInt(port, 10))})
	}
	return s, true
}

package machine

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
)

var phases = []string{"free", "asking", "leased", "settling", "sharing"}

// table is every row.
func table() (all []row) {
	for _, rows := range [][]row{
		freeRows, askingRows, answerRows, leasedRows, releaseRows, renewedRows, timedRows, settlingRows, closeRows, panicRows, gapRows, watchRows, lingerRows, ambiguousRows, restRows,
		gaveRows, repeatedRows, givenRows, sharingRows, sharesRows, slotsRows, endingRows, sharedCloseRows, turnRows, nestedRows, otherKindRows,
	} {
		all = append(all, rows...)
	}
	return all
}

func TestTable(t *testing.T) {
	for _, r := range table() {
		from, event, _ := r.cell()
		t.Run(strings.Join([]string{from, event, r.name}, ": "), r.run)
	}
}

// cell returns the phase and the event of a row, and the play just before it.
func (r *row) cell() (from, event string, p *play) {
	defer func() {
		if e := recover(); e != nil {
			panic(fmt.Sprint(r.name, ": ", e))
		}
	}()
	p = newPlay().all(r.start...)
	p.now = p.now.Add(r.after)
	from = p.phase()
	e := r.event(p)
	switch event = strings.TrimPrefix(fmt.Sprintf("%T", e), "machine."); e := e.(type) {
	case Woken:
		event += " " + wakes[e.Kind]
	case Answered:
		event += " " + e.Verb.String() + " " + sortOf(e.Call)
	}
	return from, event, p
}

var wakes = map[backends.WakeKind]string{
	backends.Given: "Given", backends.Wanted: "Wanted", backends.Doubted: "Doubted", backends.Revoking: "Revoking",
	backends.Answering: "Answering",
}

// sortOf names the way in which a call was answered.
func sortOf(c *Call) string {
	switch {
	case c.Err == nil && c.Verb == Acquiring:
		return c.Reply.Outcome.String()
	case c.Err == nil:
		return "ok"
	case errors.Is(c.Err, backends.ErrSettled):
		return "settled"
	case backends.IsRevoked(c.Err):
		return "revoked"
	case backends.IsNotHeld(c.Err):
		return "not held"
	case backends.IsRefused(c.Err):
		return "refused for good"
	case backends.IsPassing(c.Err):
		return "refused for now"
	}
	return c.Reply.Outcome.String()
}

// TestTableIsWhole counts the rows of each phase and event: none is without.
func TestTableIsWhole(t *testing.T) {
	rows := map[string]int{}
	for _, r := range table() {
		from, event, _ := r.cell()
		rows[from+" "+event]++
		if kind, _, _ := strings.Cut(event, " "); kind == "Answered" {
			rows[from+" Answered"]++
		}
	}
	events := []string{
		"Arrive", "Leave", "Taken", "Withdrawn", "Release", "Extend", "Downgrade", "Watch", "Disown", "Answered", "Tick", "Close", "Panicked",
		"Gave", "Repeated", "Woken Given", "Woken Wanted", "Woken Doubted", "Woken Revoking", "Woken Answering",
	}
	var want []string
	for _, phase := range phases {
		for _, e := range events {
			want = append(want, phase+" "+e)
		}
	}
	for verb, answers := range map[string]string{
		"free Answered look":        "ok; may have run",
		"asking Answered acquire":   "granted; held by another; did not run; may have run; settled; refused for good; refused for now",
		"leased Answered renew":     "ok; not held; revoked; may have run; refused for good; refused for now",
		"settling Answered release": "ok; not held; may have run; refused for good; refused for now",
		"settling Answered cancel":  "ok; may have run",
		"sharing Answered acquire":  "granted; held by another; did not run; may have run; settled; refused for good; refused for now",
		"sharing Answered renew":    "ok; not held; revoked; may have run; refused for good; refused for now",
		"sharing Answered release":  "ok; not held; may have run; refused for good; refused for now",
		"sharing Answered cancel":   "ok; may have run",
	} {
		for answer := range strings.SplitSeq(answers, "; ") {
			want = append(want, verb+" "+answer)
		}
	}
	for _, cell := range want {
		if rows[cell] == 0 {
			t.Errorf("no row for %s", cell)
		}
	}
}

// TestTableHasEveryEffect holds the kinds of effect, and the verbs, against the rows.
func TestTableHasEveryEffect(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table() {
		for _, told := range r.want {
			seen[strings.ReplaceAll(told, "time out", "timeout")] = true
		}
	}
	words := []string{"ask acquire", "ask renew", "ask release", "ask cancel", "ask look"}
	for k := Offer; k <= Leak; k++ {
		words = append(words, strings.ToLower(k.String()))
	}
	for _, w := range words {
		found := false
		for told := range seen {
			found = found || strings.HasPrefix(told, w+" ") || strings.HasPrefix(told, w+":") || told == w
		}
		if !found {
			t.Errorf("no row wants %q", w)
		}
	}
}

// TestTableHasEveryState holds what matters beside the phase against the rows.
func TestTableHasEveryState(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table() {
		from, _, p := r.cell()
		for state, is := range p.states() {
			seen[from+", "+state] = seen[from+", "+state] || is
		}
	}
	for state, in := range map[string]string{
		"a call in flight":   "free asking leased settling sharing",
		"no call in flight":  "free asking leased settling sharing",
		"somebody waits":     "free asking leased settling sharing",
		"nobody waits":       "free asking leased settling sharing",
		"one try waits":      "asking leased settling sharing",
		"closing":            "free asking leased settling sharing",
		"failing":            "asking leased settling sharing",
		"contended":          "leased sharing",
		"revoked":            "leased sharing",
		"to rest":            "free leased settling",
		"lingering":          "leased sharing",
		"not confirmed":      "leased",
		"in doubt":           "asking leased sharing",
		"an extension open":  "leased sharing",
		"a disowning open":   "leased settling sharing",
		"a release open":     "leased settling sharing",
		"a gap due":          "asking leased sharing",
		"without exclusion":  "leased",
		"carrying others":    "leased",
		"a share beside":     "sharing",
		"may be a lock":      "sharing",
		"spare permits":      "sharing",
		"a lock stands by":   "sharing",
		"without wakes":      "leased sharing",
		"servers replaced":   "leased sharing",
		"handoff turned off": "leased sharing",
	} {
		for phase := range strings.FieldsSeq(in) {
			if !seen[phase+", "+state] {
				t.Errorf("no row is %s, %s", phase, state)
			}
		}
	}
}

func (p *play) states() map[string]bool {
	m := p.m
	leased := m.phase == &m.leased
	states := map[string]bool{
		"a call in flight":   m.call != nil,
		"no call in flight":  m.call == nil,
		"somebody waits":     m.queue.len > 0,
		"nobody waits":       m.queue.len == 0,
		"one try waits":      m.queue.tries > 0,
		"closing":            m.closing,
		"failing":            m.phase.retries().failures > 0,
		"contended":          m.leased.contended,
		"revoked":            m.leased.revoked,
		"to rest":            m.rest.least > 0,
		"lingering":          leased && m.holders.len == 0 && m.now < m.leased.linger,
		"not confirmed":      m.leased.given != 0,
		"in doubt":           m.asking.doubted != 0 || leased && m.leased.doubts(m),
		"an extension open":  m.extensions != nil,
		"a disowning open":   m.disownings != nil,
		"a release open":     m.releasing != nil,
		"a gap due":          m.gap.due(p.now),
		"without exclusion":  !m.cfg.Can.Exclusive,
		"without wakes":      !m.cfg.Can.Wakes,
		"servers replaced":   m.cfg.Can.FailsOver,
		"handoff turned off": m.cfg.NoHandoff,
		"carrying others":    m.leased.ridden != 0 && m.holders.len > 0,
	}
	p.statesOfShares(states)
	return states
}

// statesOfShares adds those of any share.
func (p *play) statesOfShares(states map[string]bool) {
	s := p.m.sharing
	if s == nil {
		return
	}
	states["a lock stands by"] = s.won != nil
	for _, e := range s.ends {
		states["failing"] = states["failing"] || e.retry.failures > 0
		states["a release open"] = states["a release open"] || e.releasing != nil
	}
	for _, h := range s.shares {
		for state, is := range map[string]bool{
			"contended": h.contended, "revoked": h.revoked, "lingering": h.uses == 0 && p.m.now < h.linger, "in doubt": h.doubts(p.m),
			"a release open": h.releasing != nil, "failing": h.retry.failures > 0, "a share beside": len(s.shares) > 1,
			"may be a lock": h.lock, "spare permits": h.kind == backends.Slots && h.uses < h.permits,
		} {
			states[state] = states[state] || is
		}
	}
}

// TestDiagram holds the diagram in doc.go against the rows in which the phase changes:
// no line is without a row, and no row without a line.
func TestDiagram(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^//\t(\w+) +-- (.+?) --> +(\w+)(  .*)?$`).FindAllStringSubmatch(string(doc), -1) {
		line := fmt.Sprintf("%s -- %s --> %s", m[1], m[2], m[3])
		if lines[line] {
			t.Errorf("twice: %s", line)
		}
		lines[line] = true
	}
	rows := map[string]bool{}
	for _, r := range table() {
		if r.words == "" {
			continue
		}
		from, event, _ := r.cell()
		kind, _, _ := strings.Cut(event, " ")
		if said, _, _ := strings.Cut(r.words, ","); said != kind {
			t.Errorf("%s: the event is %s, the words are %q", r.name, kind, r.words)
		}
		rows[fmt.Sprintf("%s -- %s --> %s", from, r.words, r.to)] = true
	}
	for line := range lines {
		if !rows[line] {
			t.Errorf("no row for the line %s", line)
		}
	}
	for line := range rows {
		if !lines[line] {
			t.Errorf("no line for the row %s", line)
		}
	}
}

package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/turnstile-go/turnstile/bench"
)

// A group is a kind of strategy. Its lines share a dash, so that it is seen
// without colours too.
type group struct {
	Name  string
	Dash  []int // px of line and gap in turn; none: solid
	Width float64
}

var groups = []group{
	{Name: "Turnstile", Width: 2.5},
	{Name: "Earlier loops", Dash: []int{2, 3}, Width: 1.8},
	{Name: "Other libraries", Dash: []int{7, 3}, Width: 1.8},
	{Name: "In process", Dash: []int{9, 3, 2, 3}, Width: 1.8},
}

// seeds begin the names of the loops that Turnstile stems from. The bench counts
// them as peers; the report shows them apart.
var seeds = []string{"pylock", "retools", "distributedlock"}

func groupOf(s *bench.Listed) int {
	name := strings.ToLower(s.Name)
	switch {
	case s.Place == bench.PlaceProcess:
		return 3
	case !s.Peer:
		return 0
	case slices.ContainsFunc(seeds, func(seed string) bool { return strings.HasPrefix(name, seed) }):
		return 1
	}
	return 2
}

// palette is chosen so that its colours stay apart under protanopia and
// deuteranopia, and stand out by 3:1 from either background. A strategy beyond
// the last begins again, with another marker.
var palette = [...]struct{ light, dark string }{
	{"#6c2cb4", "#b48cfa"}, // purple
	{"#0f8f43", "#7ee39a"}, // green
	{"#752017", "#cc7a6c"}, // brown
	{"#3f7fe8", "#9cc3fb"}, // blue
	{"#c2206a", "#f183a7"}, // crimson
	{"#28426d", "#7f9fd4"}, // navy
	{"#94740a", "#d4b04a"}, // ochre
	{"#7d8a80", "#c6d2c8"}, // ash
	{"#416407", "#86a94e"}, // olive
	{"#007f8c", "#4fd0d8"}, // teal
	{"#9f39b5", "#d27be6"}, // violet
	{"#5c584c", "#9c978a"}, // grey
	{"#b8745c", "#f7d6ca"}, // salmon
	{"#1c2127", "#ffffff"}, // ink
	{"#c274a9", "#f8a5dd"}, // pink
	{"#381ea7", "#8580f5"}, // indigo
	{"#585082", "#aaa3da"}, // lavender
	{"#cc5500", "#ff9e4a"}, // orange
}

// markers are paths around 0,0. There are eight, so that a colour that comes
// round again has another one.
var markers = [...]string{
	"M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",                          // disc
	"M-3.6,-3.6H3.6V3.6H-3.6Z",                                     // square
	"M0,-4.8L4.6,3.4H-4.6Z",                                        // triangle
	"M0,-5L5,0L0,5L-5,0Z",                                          // diamond
	"M0,4.8L4.6,-3.4H-4.6Z",                                        // triangle on its tip
	"M-1.6,-4.8H1.6V-1.6H4.8V1.6H1.6V4.8H-1.6V1.6H-4.8V-1.6H-1.6Z", // plus
	"M-4.8,0L-2.4,-4.2H2.4L4.8,0L2.4,4.2H-2.4Z",                    // hexagon
	"M-4.8,-2.4L-2.4,-4.8L0,-2.4L2.4,-4.8L4.8,-2.4L2.4,0L4.8,2.4L2.4,4.8L0,2.4L-2.4,4.8L-4.8,2.4L-2.4,0Z", // cross
}

// A look is a strategy as the page shows it, everywhere alike.
type look struct {
	bench.Listed
	Number int // from 1: what names it where there is no room for a name
	Group  int
	Colour int // in palette
	Failed bool
	Aside  bool // not in the curves until the reader asks for it: see setAside
}

func (l *look) group() group   { return groups[l.Group] }
func (l *look) marker() string { return markers[(l.Number-1)%len(markers)] }

// Class names the look in the page's style.
func (l *look) Class() string { return fmt.Sprintf("c%d", l.Colour) }

// GroupName, Settings and Place are for the page's template.
func (l *look) GroupName() string { return l.group().Name }

// Icon is the look's line and marker, for legends. No text of a user's is in it.
func (l *look) Icon() template.HTML {
	return template.HTML(fmt.Sprintf(
		`<svg class="icon" width="36" height="14" viewBox="-18 -7 36 14" aria-hidden="true"><path d="M-18,0H18" stroke="currentColor" stroke-width="%g" stroke-dasharray="%s"/><path d="%s" fill="currentColor"/></svg>`,
		l.group().Width, dashes(l.group().Dash), l.marker()))
}

func dashes(d []int) string {
	if len(d) == 0 {
		return "none"
	}
	return strings.Trim(fmt.Sprint(d), "[]")
}

// looks puts the strategies in the order of their groups, else as they are
// listed, and gives each its look. A strategy that only a run names is listed
// too: a figure must not vanish because a list is short.
func looks(r *bench.Report) []*look {
	listed := slices.Clone(r.Strategies)
	known := map[string]bool{}
	for _, s := range listed {
		known[s.Name] = true
	}
	for _, run := range r.Runs {
		if !known[run.Strategy] {
			known[run.Strategy] = true
			listed = append(listed, bench.Listed{Name: run.Strategy})
		}
	}
	failed := map[string]bool{}
	for _, f := range r.Failures {
		failed[f.Strategy] = true
	}
	var all []*look
	for _, s := range listed {
		all = append(all, &look{Listed: s, Group: groupOf(&s), Failed: failed[s.Name]})
	}
	slices.SortStableFunc(all, func(a, b *look) int { return cmp.Compare(a.Group, b.Group) })
	for i, l := range all {
		l.Number, l.Colour = i+1, i%len(palette)
	}
	return all
}

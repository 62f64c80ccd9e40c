package report

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/turnstile-go/turnstile/bench"
)

//go:embed assets
var assets embed.FS

func asset(name string) string {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic("report: " + err.Error()) // it is embedded
	}
	return string(b)
}

// A page is a report as the template shows it.
type page struct {
	*bench.Report
	Looks    []*look
	Sections []section

	byExperiment map[string][]*bench.Run
	hotRuns      []*bench.Run // see hot
	hotWhat      string
}

// referenceContenders is where strategies are compared by other figures than
// throughput; the nearest number that was measured stands in for it.
const referenceContenders = 64

func newPage(r *bench.Report) *page {
	p := &page{Report: r, Looks: looks(r), byExperiment: map[string][]*bench.Run{}}
	for i := range r.Runs {
		run := &r.Runs[i]
		p.byExperiment[run.Experiment] = append(p.byExperiment[run.Experiment], run)
	}
	for _, runs := range p.byExperiment {
		slices.SortStableFunc(runs, byX)
	}
	if xs := p.xs(bench.Contenders); len(xs) > 0 {
		far := func(x float64) float64 { return math.Abs(math.Log(x / referenceContenders)) }
		x := slices.MinFunc(xs, func(a, b float64) int {
			return int(math.Copysign(1, far(a)-far(b)))
		})
		for _, run := range p.byExperiment[bench.Contenders] {
			if run.X == x {
				p.hotRuns = append(p.hotRuns, run)
			}
		}
	} else {
		p.hotRuns = p.byExperiment[bench.Custom]
	}
	if len(p.hotRuns) > 0 {
		p.hotWhat = describe(&p.hotRuns[0].Workload)
	}
	p.setAside()
	p.Sections = p.sections()
	return p
}

// hot is the runs of a strategy that everything but scaling is read from: many
// contenders on one key, or the workload that was asked for.
func (p *page) hot(strategy string) (runs []*bench.Run) {
	for _, r := range p.hotRuns {
		if r.Strategy == strategy {
			runs = append(runs, r)
		}
	}
	return runs
}

// xs are the values that an experiment varied over, rising.
func (p *page) xs(experiment string) (xs []float64) {
	for _, r := range p.byExperiment[experiment] {
		xs = append(xs, r.X)
	}
	return slices.Compact(xs) // byX has sorted them
}

func (p *page) rounds(experiment, strategy string, x float64) (runs []*bench.Run) {
	for _, r := range p.byExperiment[experiment] {
		if r.Strategy == strategy && r.X == x {
			runs = append(runs, r)
		}
	}
	return runs
}

// view is what the page's script reads.
type view struct {
	Looks  []viewLook `json:"looks"`
	Charts []*chart   `json:"charts"`
	Light  []string   `json:"light"`
	Dark   []string   `json:"dark"`
}

type viewLook struct {
	Name   string  `json:"name"`
	Number int     `json:"number"`
	Colour int     `json:"colour"`
	Dash   []int   `json:"dash"`
	Width  float64 `json:"width"`
	Marker string  `json:"marker"`
	Aside  bool    `json:"aside"`
}

func (p *page) view() view {
	v := view{Looks: []viewLook{}, Charts: []*chart{}}
	for _, c := range palette {
		v.Light, v.Dark = append(v.Light, c.light), append(v.Dark, c.dark)
	}
	for _, l := range p.Looks {
		v.Looks = append(v.Looks, viewLook{l.Name, l.Number, l.Colour, l.group().Dash, l.group().Width, l.marker(), l.Aside})
	}
	for _, s := range p.Sections {
		for _, b := range s.Blocks {
			if b.Chart != nil {
				v.Charts = append(v.Charts, b.Chart)
			}
		}
	}
	return v
}

// Write writes the report's page: one HTML file, for a browser that may be
// offline. It fails on figures that JSON has no words for (NaN), and where w does.
func Write(w io.Writer, r *bench.Report) error {
	p := newPage(r)
	raw, err := packed(r)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	// json.Marshal writes <, > and & as escapes: nothing in it can end the element.
	drawn, err := json.Marshal(p.view())
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	style := "\n" + asset("uplot/uPlot.min.css") + "\n" + paletteStyle() + asset("page.css")
	script := "\n" + asset("uplot/uPlot.iife.min.js") + "\n" + asset("page.js")
	var b bytes.Buffer
	err = pageTemplate().Execute(&b, map[string]any{
		"Page": p, "Raw": raw, "View": template.JS(drawn),
		"Style": template.CSS(style), "StyleHash": hash(style),
		"Script": template.JS(script), "ScriptHash": hash(script),
		"Licence": asset("uplot/LICENSE"), "Library": strings.SplitN(asset("uplot/VERSION"), ",", 2)[0],
	})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// packed is the report's JSON as base64 of gzip: a fifth of its size, and a page
// has to reach a phone.
func packed(r *bench.Report) (template.HTML, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(r); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return template.HTML(base64.StdEncoding.EncodeToString(b.Bytes())), nil // letters, digits, +, / and = alone
}

// hash names a script or style for the page's Content-Security-Policy: no other
// one runs, whatever came in with a name.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// paletteStyle gives each colour its class; dark where the reader's system is,
// and never on paper.
func paletteStyle() string {
	var light, dark strings.Builder
	for i, c := range palette {
		fmt.Fprintf(&light, ".c%d{color:%s}", i, c.light)
		fmt.Fprintf(&dark, ".c%d{color:%s}", i, c.dark)
	}
	return light.String() + "\n@media screen and (prefers-color-scheme: dark){" + dark.String() + "}\n"
}

// pageTemplate is parsed when a page is written: the command imports this package, and
// most of its processes write none.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"shell": shell, "seconds": seconds, "bytes": bytesText, "count": count, "groupsOf": groupsOf,
		"sub": func(a, b int) int { return a - b },
	}).Parse(asset("page.html")))
})

// shell quotes a command so that it can be pasted.
func shell(args []string) string {
	var quoted []string
	for _, a := range args {
		if a == "" || strings.ContainsFunc(a, func(c rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%", c)
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted = append(quoted, a)
	}
	return strings.Join(quoted, " ")
}

func bytesText(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

// A legend's group.
type legend struct {
	Name  string
	Looks []*look
}

// groupsOf splits looks, which are sorted by group.
func groupsOf(all []*look) (out []legend) {
	for _, l := range all {
		if len(out) == 0 || out[len(out)-1].Name != l.GroupName() {
			out = append(out, legend{Name: l.GroupName()})
		}
		out[len(out)-1].Looks = append(out[len(out)-1].Looks, l)
	}
	return out
}

package report

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/turnstile-go/turnstile/bench"
)

// The figures that SVG draws.
const (
	FigureThroughput = "throughput" // holds per second against contenders
	FigureWaits      = "waits"      // waits by percentile
)

// A README shows a figure at 400 px on a phone, where the letters below are 11 px
// high. The colours of text are those of the page.
const (
	svgWidth, svgHeight = 523, 400
	svgTop, svgBottom   = 62, 46
	svgLeft             = 77
	svgGap              = 15 // between the names at the lines' ends
)

// SVG draws one figure of a report, for a page that shows no scripts. The text in
// it stays text, in the reader's own system font; the background is the page's.
//
// No plot library draws it. gonum/plot, the one that is kept, brings fonts along:
// 8 MB in every stripped program that imports it (v0.17.0, measured). It places text
// by their widths, without an anchor, so that titles and names stand elsewhere in
// the reader's own font. And the scales are made for the page anyway.
func SVG(w io.Writer, r *bench.Report, figure string, dark bool) error {
	p := newPage(r)
	var c *chart
	var with string
	switch figure {
	case FigureThroughput:
		c = p.throughputCurve()
	case FigureWaits:
		c = p.waits()
		with, _, _ = strings.Cut(p.hotWhat, ",")
	default:
		return fmt.Errorf("report: no figure %q", figure)
	}
	if c == nil {
		return fmt.Errorf("report: nothing was measured for the figure %q", figure)
	}
	d := &drawing{chart: c, with: with, looks: p.Looks, ink: "#1c2127", soft: "#56606c", rule: "#d8dde3", dark: dark}
	if dark {
		d.ink, d.soft, d.rule = "#e6e9ed", "#a3adb9", "#333a43"
	}
	d.draw()
	if _, err := w.Write(d.Bytes()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

type drawing struct {
	bytes.Buffer
	chart           *chart
	with            string // of the workload, what the title leaves open
	looks           []*look
	ink, soft, rule string
	dark            bool
	right           float64 // px that the names at the lines' ends take
}

func (d *drawing) x(v float64) float64 {
	return svgLeft + d.chart.X.part(v)*(svgWidth-svgLeft-d.right)
}

func (d *drawing) y(v float64) float64 {
	return svgHeight - svgBottom - d.chart.Y.part(v)*(svgHeight-svgTop-svgBottom)
}

func (d *drawing) colour(l *look) string {
	if d.dark {
		return palette[l.Colour].dark
	}
	return palette[l.Colour].light
}

func (d *drawing) draw() {
	longest := 0
	for _, l := range d.chart.Lines {
		longest = max(longest, utf8.RuneCountInString(d.looks[l.Look].Name))
	}
	d.right = 26 + 7.3*float64(min(longest, 22)) // px a letter, of a wide system font
	title, better, _ := strings.Cut(d.chart.Title, ": ")
	if d.with != "" {
		better += "; " + d.with
	}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif" font-size="13">`+"\n",
		svgWidth, svgHeight, svgWidth, svgHeight)
	fmt.Fprintf(d, "<title>%s</title>\n", escape(d.chart.Title))
	d.text(4, 20, "start", d.ink, `font-size="16" font-weight="600"`, title)
	d.text(4, 40, "start", d.soft, `font-size="14"`, better)
	d.axes()
	for _, l := range d.chart.Lines {
		d.band(&l)
	}
	for _, l := range d.chart.Lines {
		d.line(&l)
	}
	d.names()
	d.WriteString("</svg>\n")
}

func (d *drawing) text(x, y float64, anchor, colour, more, words string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" %s>%s</text>`+"\n", x, y, anchor, colour, more, escape(words))
}

func (d *drawing) axes() {
	bottom, end := float64(svgHeight-svgBottom), svgWidth-d.right
	last := math.Inf(-1)
	for _, t := range d.chart.X.Ticks {
		x := d.x(t.At)
		fmt.Fprintf(d, `<path d="M%.1f,%dV%.1f" stroke="%s"/>`+"\n", x, svgTop, bottom, d.rule)
		if half := 3.8 * float64(utf8.RuneCountInString(t.Text)); t.Text != "" && x-half > last+4 {
			d.text(x, bottom+16, "middle", d.soft, "", t.Text)
			last = x + half
		}
	}
	for _, t := range d.chart.Y.Ticks {
		y := d.y(t.At)
		fmt.Fprintf(d, `<path d="M%d,%.1fH%.1f" stroke="%s"/>`+"\n", svgLeft, y, end, d.rule)
		if t.Text != "" {
			d.text(svgLeft-9, y+4, "end", d.soft, "", t.Text)
		}
	}
	d.text((svgLeft+end)/2, svgHeight-8, "middle", d.soft, "", d.chart.X.Label)
	d.text(0, 0, "middle", d.soft, fmt.Sprintf(`transform="translate(14 %.1f) rotate(-90)"`, (svgTop+bottom)/2), d.chart.Y.Label)
}

// band covers the rounds from the lowest to the highest.
func (d *drawing) band(l *line) {
	var points []string
	for i, x := range l.X {
		points = append(points, fmt.Sprintf("%.1f,%.1f", d.x(x), d.y(l.Max[i])))
	}
	for i, x := range slices.Backward(l.X) {
		points = append(points, fmt.Sprintf("%.1f,%.1f", d.x(x), d.y(l.Min[i])))
	}
	fmt.Fprintf(d, `<path d="M%sZ" fill="%s" fill-opacity="0.18"/>`+"\n", strings.Join(points, "L"), d.colour(d.looks[l.Look]))
}

func (d *drawing) line(l *line) {
	look := d.looks[l.Look]
	var points []string
	for i, x := range l.X {
		points = append(points, fmt.Sprintf("%.1f,%.1f", d.x(x), d.y(l.Mid[i])))
	}
	fmt.Fprintf(d, `<path d="M%s" fill="none" stroke="%s" stroke-width="%g" stroke-dasharray="%s" stroke-linejoin="round"/>`+"\n",
		strings.Join(points, "L"), d.colour(look), look.group().Width, dashes(look.group().Dash))
	for i, x := range l.X {
		if !d.chart.Percentile || isRound(x) {
			fmt.Fprintf(d, `<path transform="translate(%.1f %.1f)" d="%s" fill="%s"/>`+"\n", d.x(x), d.y(l.Mid[i]), look.marker(), d.colour(look))
		}
	}
}

// isRound says whether 1/(1-q) has a marker.
func isRound(x float64) bool {
	return slices.ContainsFunc(roundPercentiles, func(q float64) bool { return math.Abs(x*(1-q)-1) < 1e-6 })
}

// names writes each strategy's name where its line ends, moved apart from the
// others', with a dotted line to it.
func (d *drawing) names() {
	type end struct {
		*look
		x, y float64
	}
	var ends []end
	for _, l := range d.chart.Lines {
		last := len(l.X) - 1
		ends = append(ends, end{d.looks[l.Look], d.x(l.X[last]), d.y(l.Mid[last])})
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(a.y, b.y) })
	var ys []float64
	for _, e := range ends {
		ys = append(ys, e.y)
	}
	edge := svgWidth - d.right
	for i, y := range apart(ys, svgGap, svgTop, svgHeight-svgBottom+12) {
		e := ends[i]
		fmt.Fprintf(d, `<path d="M%.1f,%.1fL%.1f,%.1f" stroke="%s" stroke-dasharray="1 3"/>`+"\n", e.x+6, e.y, max(edge+12, e.x+6), y, d.colour(e.look))
		d.text(edge+15, y+4, "start", d.colour(e.look), "", shorten(e.Name, 22))
	}
}

// apart moves rising values so that they are gap apart and between the ends, where there is
// room for it; else they are closer, from low on.
func apart(ys []float64, gap, low, high float64) []float64 {
	out := slices.Clone(ys)
	if n := float64(len(ys) - 1); n > 0 {
		gap = min(gap, (high-low)/n)
	}
	for i := range out {
		floor := low
		if i > 0 {
			floor = out[i-1] + gap
		}
		out[i] = max(out[i], floor)
	}
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = min(out[i], high-gap*float64(len(out)-1-i))
	}
	return out
}

func shorten(s string, letters int) string {
	if utf8.RuneCountInString(s) <= letters {
		return s
	}
	return string([]rune(s)[:letters-1]) + "…"
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/bench"
)

var keep = flag.String("keep", "", "a directory to write the made-up page and figures to, for looking at them")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func written(t *testing.T, r *bench.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// keepAs writes what a test made to the directory that -keep names, if it does.
func keepAs(t *testing.T, name, what string) {
	t.Helper()
	if *keep == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*keep, name), []byte(what), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAPageAsksNoNetworkForAnything(t *testing.T) {
	page := written(t, sample())
	keepAs(t, "report.html", page)
	for _, outside := range []string{
		`(?i)\b(src|srcset|href|action|poster|data)\s*=\s*["']?(https?:)?//`, `(?i)@import`, `(?i)[\s:,]url\(`,
		`(?i)<(link|iframe|img|object|embed|base)\b`, `\bfetch\(`, `XMLHttpRequest`, `\bimport\(`, `sendBeacon`, `WebSocket`,
	} {
		if found := regexp.MustCompile(outside).FindString(page); found != "" {
			t.Errorf("the page holds %q", found)
		}
	}
	if !strings.Contains(page, `content="default-src &#39;none&#39;`) && !strings.Contains(page, `content="default-src 'none'`) {
		t.Error("the page has no policy that forbids loads")
	}
}

func TestThePolicyNamesTheScriptAndStyleThatThePageHas(t *testing.T) {
	page := written(t, sample())
	policy := regexp.MustCompile(`Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("no policy")
	}
	says := strings.NewReplacer("&#43;", "+", "&#39;", "'").Replace(policy[1])
	for _, element := range []string{"script", "style"} {
		all := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(page, -1)
		if len(all) != 1 {
			t.Fatalf("%d elements %s, want 1", len(all), element)
		}
		if want := element + "-src '" + hash(all[0][1]) + "'"; !strings.Contains(says, want) {
			t.Errorf("the policy is %q, want it to hold %q", says, want)
		}
	}
}

func charts(page string) int { return strings.Count(page, `<figure class="chart`) }

func TestEveryChartSaysWhatIsBetterAndHasUnits(t *testing.T) {
	p := newPage(sample())
	page := written(t, sample())
	seen := map[string]bool{}
	unit := regexp.MustCompile(`contenders|processes|keys|holds|percentile|0 to 1|1 × = fair|per hold`)
	timed := regexp.MustCompile(` (ns|µs|ms|s|min)$`)
	check := func(id, title string, axes ...axis) {
		seen[id] = true
		if !strings.Contains(title, "better") {
			t.Errorf("chart %s: the title %q doesn't say what is better", id, title)
		}
		for _, a := range axes {
			// A time has its unit at each tick: one tick may be in µs and the next
			// in ms. A unit in the label could contradict them.
			texts, inUnits := 0, true
			for _, tick := range a.Ticks {
				if tick.Text != "" {
					texts++
					inUnits = inUnits && (tick.Text == "0" || timed.MatchString(tick.Text))
				}
			}
			if inUnits == unit.MatchString(a.Label) {
				t.Errorf("chart %s: the axis %q has its unit at the ticks: %v, and in the label: %v; want one of both", id, a.Label, inUnits, !inUnits)
			}
			if texts < 2 {
				t.Errorf("chart %s: %d labels on the axis %q", id, texts, a.Label)
			}
		}
		if strings.Count(page, `data-chart="`+id+`"`) != 1 {
			t.Errorf("chart %s: not once on the page", id)
		}
	}
	for _, s := range p.Sections {
		for _, b := range s.Blocks {
			if b.Chart != nil {
				check(b.Chart.ID, b.Chart.Title, b.Chart.X, b.Chart.Y)
			}
			if b.Rows != nil && b.Rows.Axis != nil {
				check(b.Rows.ID, b.Rows.Title, *b.Rows.Axis)
			} else if b.Rows != nil {
				check(b.Rows.ID, b.Rows.Title)
			}
		}
	}
	for _, id := range everyChart {
		if !seen[id] {
			t.Errorf("no chart %s", id)
		}
	}
	if n := charts(page); n != len(seen) {
		t.Errorf("%d charts on the page, want the %d that are checked", n, len(seen))
	}
}

var everyChart = []string{
	"throughput", "waits", "grant", "jain", "shares", "order", "jain-processes", "recovery", "commands-rows",
	"cost-contenders", "cost-keys", "cost-processes", "cost-round-trip", "planned-p50", "planned-p99",
}

func TestExperimentsThatWereNotRunLeaveNothing(t *testing.T) {
	r := sample()
	r.Runs = r.Runs[:0]
	page := written(t, r)
	if charts(page) > 0 || strings.Contains(page, `<section id="findings">`) {
		t.Error("a report without runs draws something")
	}
	for _, one := range sample().Runs {
		if one.Experiment == bench.Keys {
			r.Runs = append(r.Runs, one)
		}
	}
	page = written(t, r)
	if n := charts(page); n != 1 || !strings.Contains(page, `data-chart="cost-keys"`) {
		t.Errorf("%d charts of a report about keys, want one", n)
	}
}

func TestACustomWorkloadStandsInForContenders(t *testing.T) {
	r := sample()
	var kept []bench.Run
	for _, one := range r.Runs {
		if one.Experiment == bench.Contenders && one.X == 16 && strings.HasPrefix(one.Strategy, "redis") && one.Round == 1 {
			one.Experiment, one.X = bench.Custom, 0
			kept = append(kept, one)
		}
	}
	r.Runs, r.Strategies = kept, r.Strategies[3:6]
	r.Strategies[1].Unsafe = true
	page := written(t, r)
	keepAs(t, "custom.html", page)
	for _, want := range []string{`data-chart="throughput"`, `data-chart="waits"`, `data-chart="jain"`, "16 goroutines on 1 key", "no exclusion"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestFailuresStandFirst(t *testing.T) {
	if strings.Contains(written(t, sample()), `class="failures"`) {
		t.Error("a report without failures shows some")
	}
	r := sample()
	r.Failures = []bench.Failure{
		{Strategy: "redis, Linger 1s", Experiment: bench.Contenders, X: 64, Round: 2, Kind: "overlap", What: "3 holds met another one"},
		{Strategy: "file", Experiment: bench.Recovery, X: 2, Round: 1, Kind: "stranded", What: "1 waiter was forgotten"},
	}
	page := written(t, r)
	keepAs(t, "failed.html", page)
	box := strings.Index(page, `<section class="failures"`)
	if box < 0 || box > strings.Index(page, "<nav") || box > strings.Index(page, `<section id=`) {
		t.Error("the failures don't stand before everything else")
	}
	for _, want := range []string{"2 failures", "3 holds met another one", "1 waiter was forgotten", "redis, Linger 1s (contenders 64, round 2)"} {
		if !strings.Contains(page[box:], want) {
			t.Errorf("no %q", want)
		}
	}
	row := regexp.MustCompile(`(?s)<span class="word">redis, Linger 1s</span>.{0,60}✗ failed`)
	named := strings.Count(page, `<span class="word">redis, Linger 1s</span>`)
	if marked := len(row.FindAllString(page, -1)); marked == 0 || marked != named {
		t.Errorf("redis, Linger 1s is marked as failed %d times of %d", marked, named)
	}
	best := map[string]bool{} // at throughput
	for _, row := range newPage(r).findings().Rows {
		best[row.Look.Name] = row.Cells[0].Best
	}
	if best["redis, Linger 1s"] || !best["redis"] {
		t.Error("a strategy that failed keeps its place as the best; it is the second's")
	}
}

// What users choose must stay text, wherever it turns up.
func TestWordsOfUsersCannotBecomeMarkup(t *testing.T) {
	const evil = `</script></template><script>alert(1)</script><img src=x onerror=alert(2)>"'&]]>{{.}}\u2028` + "\u2028"
	r := sample()
	old := r.Strategies[0].Name
	r.Strategies[0].Name, r.Strategies[0].Settings, r.Strategies[1].Place = evil, evil, evil
	for i := range r.Runs {
		if r.Runs[i].Strategy == old {
			r.Runs[i].Strategy = evil
		}
	}
	r.Command = append(r.Command, evil)
	r.Failures = []bench.Failure{{Strategy: evil, Experiment: evil, Kind: evil, What: evil}}
	e := &r.Environment
	e.Go, e.Platform, e.Kernel, e.CPU, e.Commit = evil, evil, evil, evil, evil
	e.Servers, e.Modules, e.Load = []string{evil}, []string{evil}, []string{evil, evil}
	page := written(t, r)
	keepAs(t, "evil.html", page)
	plain := written(t, sample())
	for _, element := range []string{"<script", "</script", "<img", "</template", "onerror=alert(2)>"} {
		if got, want := strings.Count(page, element), strings.Count(plain, element); got != want {
			t.Errorf("%q stands %d times on the page, want %d", element, got, want)
		}
	}
	for _, figure := range []string{FigureThroughput, FigureWaits} {
		if texts := textsOf(t, svg(t, r, figure, false)); !strings.Contains(texts, evil[:20]) {
			t.Errorf("figure %s: the name isn't there as text", figure)
		}
	}
	var v view
	data := regexp.MustCompile(`(?s)id="view">(.*?)</script>`).FindStringSubmatch(page)[1]
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		t.Fatal(err)
	}
	if v.Looks[0].Name != evil {
		t.Errorf("the script reads the name %q, want %q", v.Looks[0].Name, evil)
	}
}

func TestThePageHoldsTheWholeReport(t *testing.T) {
	r := sample()
	packed := regexp.MustCompile(`<template id="raw">(.*?)</template>`).FindStringSubmatch(written(t, r))
	if packed == nil {
		t.Fatal("no raw figures")
	}
	bytes64 := base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed[1]))
	z, err := gzip.NewReader(bytes64)
	if err != nil {
		t.Fatal(err)
	}
	var back bench.Report
	if err := json.NewDecoder(z).Decode(&back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, r) {
		t.Error("the figures on the page are not those of the report")
	}
}

func TestFiguresThatAreNoNumbersAreAnError(t *testing.T) {
	r := sample()
	r.Runs[0].Jain = math.NaN()
	if err := Write(io.Discard, r); err == nil || !strings.HasPrefix(err.Error(), "report: ") {
		t.Errorf("Write of NaN: %v, want an error of report's", err)
	}
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAWriterThatFailsIsReported(t *testing.T) {
	if err := Write(full{}, sample()); !errors.Is(err, errFull) {
		t.Errorf("Write: %v, want %v", err, errFull)
	}
	if err := SVG(full{}, sample(), FigureWaits, false); !errors.Is(err, errFull) {
		t.Errorf("SVG: %v, want %v", err, errFull)
	}
}

func TestTheCommandCanBePasted(t *testing.T) {
	got := shell([]string{"turnstile", "bench", "--note", "it's $HOME", "", "a=b,c/d", "*"})
	if want := `turnstile bench --note 'it'\''s $HOME' '' a=b,c/d '*'`; got != want {
		t.Errorf("shell: %s, want %s", got, want)
	}
}

func svg(t *testing.T, r *bench.Report, figure string, dark bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := SVG(&b, r, figure, dark); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFiguresAreWellFormedAndNameEveryStrategy(t *testing.T) {
	for _, figure := range []string{FigureThroughput, FigureWaits} {
		for name, dark := range map[string]bool{"light": false, "dark": true} {
			drawn := svg(t, sample(), figure, dark)
			keepAs(t, figure+"-"+name+".svg", drawn)
			all := textsOf(t, drawn)
			for _, want := range append([]string{"better", "(log)"}, names()...) {
				if !strings.Contains(all, want) {
					t.Errorf("%s, %s: no %q", figure, name, want)
				}
			}
		}
	}
	if !strings.Contains(textsOf(t, svg(t, sample(), FigureWaits, false)), "64 goroutines on 1 key") {
		t.Error("the waits don't say with how many contenders")
	}
	if err := SVG(io.Discard, sample(), "pie", false); err == nil {
		t.Error("a figure that there isn't was drawn")
	}
	if err := SVG(io.Discard, &bench.Report{}, FigureWaits, false); err == nil {
		t.Error("a figure of nothing was drawn")
	}
}

// textsOf is what a figure says; the test fails if it isn't well-formed.
func textsOf(t *testing.T, drawn string) string {
	t.Helper()
	var texts []string
	d := xml.NewDecoder(strings.NewReader(drawn))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return strings.Join(texts, "\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			texts = append(texts, string(text))
		}
	}
}

func names() (all []string) {
	for _, m := range madeUps {
		all = append(all, m.name)
	}
	return all
}

func TestOnePlannedRateIsNoCurve(t *testing.T) {
	r := sample()
	var kept []bench.Run
	for _, one := range r.Runs {
		if one.Experiment == bench.OpenLoop && one.X == 1000 {
			kept = append(kept, one)
		}
	}
	r.Runs = kept
	page := written(t, r)
	if charts(page) != 1 || !strings.Contains(page, "Wait at 1000 planned holds per second: lower is better") {
		t.Error("one planned rate isn't shown as rows")
	}
}

// A page with seventeen lines in each chart shows none of them.
func TestCurvesBeginWithAFewOfManyStrategies(t *testing.T) {
	p := newPage(sample())
	var shown []string
	for _, l := range p.Looks {
		if !l.Aside {
			shown = append(shown, l.Name)
		}
	}
	// Ours of each place as it comes, the fastest rival of each, and then the next.
	want := []string{"embedded", "file", "redis", "memcached", "retools", "distributedlock", "sync.Mutex", "channel"}
	slices.Sort(shown)
	slices.Sort(want)
	if !slices.Equal(shown, want) {
		t.Errorf("the curves begin with %q, want %q", shown, want)
	}
	few := sample()
	few.Strategies = few.Strategies[:3]
	few.Runs = slices.DeleteFunc(few.Runs, func(r bench.Run) bool {
		return !slices.ContainsFunc(few.Strategies, func(l bench.Listed) bool { return l.Name == r.Strategy })
	})
	if n := newPage(few).Aside(); n != 0 {
		t.Errorf("%d of three strategies are left out", n)
	}
}

func TestAPageSaysHowMuchWasChecked(t *testing.T) {
	r := sample()
	var holds uint64
	for i := range r.Runs {
		r.Runs[i].Holds = 1000
		holds += 1000
	}
	if page := written(t, r); !strings.Contains(page, count(float64(holds))+" holds were checked") {
		t.Error("nothing says how many holds were checked")
	}
	r.Failures = []bench.Failure{{Strategy: "redis", Kind: "overlap", What: "two at once"}}
	if strings.Contains(written(t, r), "holds were checked") {
		t.Error("a page with failures says that nothing was found")
	}
}

func TestRoughFiguresAreCalledRough(t *testing.T) {
	r := sample()
	if got := newPage(r).Cautions(); got != nil {
		t.Errorf("three rounds of a second: %q", got)
	}
	r.Runs = slices.DeleteFunc(r.Runs, func(one bench.Run) bool { return one.Round > 1 })
	for i := range r.Runs {
		r.Runs[i].Workload.Duration = 130 * time.Millisecond
	}
	page := written(t, r)
	for _, want := range []string{"1 round: nothing shows", "The shortest runs took 130 ms"} {
		if !strings.Contains(page, want) {
			t.Errorf("one round of 130 ms, and no %q", want)
		}
	}
}

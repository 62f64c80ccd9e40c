package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// An axis is a scale and its ticks. They are made here, once, for the page's
// tables, for uPlot and for the SVGs, so that all of them agree.
type axis struct {
	Label string  `json:"label"` // with the unit, unless the ticks have it
	Log   bool    `json:"log"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Ticks []tick  `json:"ticks"`
}

// Unit is the label without a word on the scale.
func (a *axis) Unit() string { return strings.TrimSuffix(a.Label, " (log)") }

type tick struct {
	At   float64 `json:"at"`
	Text string  `json:"text"` // empty: a line without a label
}

// part is where v lies between the ends of the axis, 0 to 1. What lies beyond an
// end is put on it: on a log axis that is where a zero goes.
func (a *axis) part(v float64) float64 {
	low, high := a.Min, a.Max
	if a.Log {
		if v <= 0 {
			return 0
		}
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(v)
	}
	return min(max((v-low)/(high-low), 0), 1)
}

// logAxis spans the values, rounded outwards to 1, 2 or 5 times a power of ten,
// with a tick at each power and, where these are few, at 2 and 5 as well. There
// are about as many labels as asked for: see across and upwards.
// Zeros and less have no place on it and count for nothing.
func logAxis(label string, format func(float64) string, values []float64, labels float64) axis {
	low, high := math.Inf(1), 0.0
	for _, v := range values {
		if v > 0 && !math.IsInf(v, 0) {
			low, high = min(low, v), max(high, v)
		}
	}
	if high == 0 {
		low, high = 1, 10
	}
	a := axis{Label: label, Log: true, Min: stepDown(low), Max: stepUp(high)}
	if a.Max < a.Min*9.99 { // one point, or nearly: give it room
		a.Min, a.Max = stepDown(low/2), stepUp(high*2)
	}
	decades := math.Log10(a.Max / a.Min)
	every := int(math.Ceil(decades / labels))
	for p := math.Floor(math.Log10(a.Min)); p <= math.Ceil(math.Log10(a.Max)); p++ {
		for _, m := range []float64{1, 2, 5} {
			v := m * math.Pow(10, p)
			if v < a.Min*0.999 || v > a.Max*1.001 || m != 1 && decades > 3.5 {
				continue
			}
			t := tick{At: v}
			if m == 1 && int(p)%every == 0 || m != 1 && decades <= 1.8 {
				t.Text = format(v)
			}
			a.Ticks = append(a.Ticks, t)
		}
	}
	return a
}

// How many labels an axis has room for: a phone is narrower than it is high.
const (
	across  = 7
	upwards = 9.5
)

func stepDown(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, m := range []float64{5, 2} {
		if v >= m*p*0.999 {
			return m * p
		}
	}
	return p
}

func stepUp(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)-1e-9))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*p*1.001 {
			return m * p
		}
	}
	return 10 * p
}

// linearAxis spans from 0 to a round number above the values.
func linearAxis(label string, format func(float64) string, values []float64) axis {
	high := 0.0
	for _, v := range values {
		if !math.IsInf(v, 0) {
			high = max(high, v)
		}
	}
	if high == 0 {
		high = 1
	}
	step := stepUp(high / 5)
	a := axis{Label: label, Max: math.Ceil(high/step-1e-9) * step}
	for i := 0; float64(i)*step <= a.Max*1.001; i++ {
		v := float64(i) * step
		a.Ticks = append(a.Ticks, tick{At: v, Text: format(v)})
	}
	return a
}

// percentileAxis is that of HdrHistogram's plots: equal room for 0 to 90 %, for
// 90 to 99 % and so on. Its values are 1/(1-q).
func percentileAxis(highest float64) axis {
	a := axis{Label: "percentile of all waits", Log: true, Min: 1, Max: max(highest, 100)}
	for _, t := range []tick{{1, "0 %"}, {2, "50 %"}, {10, "90 %"}, {100, "99 %"}, {1e3, "99.9 %"}, {1e4, "99.99 %"}, {1e5, "99.999 %"}, {1e6, ""}} {
		if t.At <= a.Max {
			a.Ticks = append(a.Ticks, t)
		}
	}
	return a
}

// How figures are written: three digits, with the prefixes that engineers read.

// seconds writes a duration.
func seconds(v float64) string {
	if math.Abs(v) >= 599.5 {
		return digits(v/60) + " min"
	}
	return inUnits(v, 0.9995, digits)
}

// inUnits writes a duration in the unit of which it has 1 to 1000. edge is the part
// of the next unit that write rounds up to one.
func inUnits(v, edge float64, write func(float64) string) string {
	switch size := math.Abs(v); {
	case v == 0:
		return "0"
	case size < edge*1e-6:
		return write(v*1e9) + " ns"
	case size < edge*1e-3:
		return write(v*1e6) + " µs"
	case size < edge:
		return write(v*1e3) + " ms"
	}
	return write(v) + " s"
}

// count writes how many, or how many a second.
func count(v float64) string {
	switch size := math.Abs(v); {
	case size >= 999.5e6:
		return digits(v/1e9) + " G"
	case size >= 999.5e3:
		return digits(v/1e6) + " M"
	case size >= 9999.5:
		return digits(v/1e3) + " k"
	case size >= 999.5 || v == math.Trunc(v):
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	return digits(v)
}

// roundCount writes a count that is a tick: 1, 10, 100, 1 k, 10 k.
func roundCount(v float64) string {
	switch {
	case v >= 1e9:
		return plain(v/1e9) + " G"
	case v >= 1e6:
		return plain(v/1e6) + " M"
	case v >= 1e3:
		return plain(v/1e3) + " k"
	}
	return plain(v)
}

// index writes Jain's index, which differs where it is near 1.
func index(v float64) string { return fmt.Sprintf("%.3f", v) }

// digits writes three significant digits, and no zeros that say nothing.
func digits(v float64) string {
	switch size := math.Abs(v); {
	case size >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case size >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case size == 0:
		return "0"
	}
	s := strconv.FormatFloat(v, 'g', 2, 64)
	if strings.Contains(s, "e") {
		return strconv.FormatFloat(v, 'e', 1, 64)
	}
	return s
}

// plain writes a number that is round already.
func plain(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// tickSeconds writes a duration that is round already.
func tickSeconds(v float64) string { return inUnits(v, 0.9999, plain) }

// Package report turns a bench's figures into a page that people can judge.
//
//	report.go    Write: the page, one file that asks no network for anything
//	sections.go  what the page shows, in which order
//	findings.go  the first table: every strategy at one glance
//	verdicts.go  ours against the others, in a sentence a place
//	rows.go      charts of one row a strategy: dots, boxes, strips
//	lines.go     charts of curves, which uPlot draws in the browser
//	spread.go    medians over rounds, and how far the rounds lay apart
//	axis.go      scales, their ticks, and how figures are written
//	look.go      how each strategy looks, the same everywhere
//	svg.go       SVG: two figures for a README
//
// What it keeps:
//
//   - One file. A Content-Security-Policy in it forbids every load, so that a
//     mistake shows as an empty chart and never as a request.
//   - Names, commands and settings come from users: they reach the page through
//     html/template or as JSON in which < is escaped, never otherwise.
//   - Failures stand first, and a strategy that failed is marked wherever it is
//     named: a lock that let two in is not fast.
//   - A figure is the median over rounds, and its spread is shown with it.
//   - Colour is never the only sign: each strategy has a marker and a number, and
//     each group of strategies a way to dash its lines.
package report

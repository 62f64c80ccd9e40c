package report

// A table is figures as text.
type table struct {
	First   string // over the names of the rows
	Places  bool   // each row says where its strategy's locks live
	Columns []column
	Rows    []tableRow
}

type column struct {
	Text string
	Sub  string // what is better, and the unit
}

type tableRow struct {
	Look  *look
	Cells []cell
}

// A cell is a median and its spread; empty: not measured.
type cell struct {
	Mid, Range string
	Best       bool
}

func cellOf(s spread, text func(float64) string) cell {
	c := cell{Mid: text(s.Mid)}
	if low, high := text(s.Min), text(s.Max); low != high {
		c.Range = low + " – " + high
	}
	return c
}

// A finding is a column of the first table.
type finding struct {
	column
	figure figure
	text   func(float64) string
	higher bool // is better
}

var findings = []finding{
	{column{"Throughput", "holds/s, higher is better"}, rate, count, true},
	{column{"Wait p50", "lower is better"}, wait(0.5), seconds, false},
	{column{"Wait p99", "lower is better"}, wait(0.99), seconds, false},
	{column{"Longest wait", "lower is better"}, longest, seconds, false},
	{column{"Jain's index", "0 to 1, higher is better"}, jain, index, true},
	{column{"Commands per hold", "lower is better"}, executed, count, false},
	{column{"Release → grant p50", "lower is better"}, grant(0.5), seconds, false},
}

// findings is every strategy at one glance, nil if nothing was measured.
func (p *page) findings() *table {
	t := &table{First: "Strategy", Places: true}
	for _, l := range p.Looks {
		t.Rows = append(t.Rows, tableRow{Look: l})
	}
	empty := true
	for _, f := range findings {
		t.Columns = append(t.Columns, f.column)
		for i, c := range p.cells(&f) {
			t.Rows[i].Cells = append(t.Rows[i].Cells, c)
			empty = empty && c.Mid == ""
		}
	}
	if empty {
		return nil
	}
	return t
}

// cells is a column, a cell a strategy. The best is marked among the strategies
// whose locks live in one place: a mutex in memory and a lock on a server are not
// rivals. Figures that read alike are all the best; one that failed is none.
func (p *page) cells(f *finding) []cell {
	cells := make([]cell, len(p.Looks))
	best := map[string]float64{} // by place
	text := map[string]string{}
	rivals := map[string]int{}
	for i, l := range p.Looks {
		s, ok := over(p.hot(l.Name), f.figure)
		if !ok {
			continue
		}
		cells[i] = cellOf(s, f.text)
		if l.Failed {
			continue
		}
		if v, ok := best[l.Place]; !ok || f.higher && s.Mid > v || !f.higher && s.Mid < v {
			best[l.Place], text[l.Place] = s.Mid, cells[i].Mid
		}
		rivals[l.Place]++
	}
	for i, l := range p.Looks {
		cells[i].Best = cells[i].Mid != "" && !l.Failed && rivals[l.Place] > 1 && cells[i].Mid == text[l.Place]
	}
	return cells
}

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

// findings is every strategy at one glance. The best of each column is marked
// among the strategies whose locks live in one place: a mutex in memory and a
// lock on a server are not rivals.
func (p *page) findings() *table {
	columns := []struct {
		column
		figure figure
		text   func(float64) string
		higher bool
	}{
		{column{Text: "Throughput", Sub: "holds/s, higher is better"}, rate, count, true},
		{column{Text: "Wait p50", Sub: "lower is better"}, wait(0.5), seconds, false},
		{column{Text: "Wait p99", Sub: "lower is better"}, wait(0.99), seconds, false},
		{column{Text: "Longest wait", Sub: "lower is better"}, longest, seconds, false},
		{column{Text: "Jain's index", Sub: "0 to 1, higher is better"}, jain, index, true},
		{column{Text: "Commands per hold", Sub: "lower is better"}, executed, count, false},
		{column{Text: "Release → grant p50", Sub: "lower is better"}, grant(0.5), seconds, false},
	}
	t := &table{First: "Strategy", Places: true}
	for range p.Looks {
		t.Rows = append(t.Rows, tableRow{})
	}
	empty := true
	for _, c := range columns {
		t.Columns = append(t.Columns, c.column)
		spreads := map[int]spread{}
		best := map[string]string{} // by place: as written, so that equal figures are all best
		values := map[string]float64{}
		rivals := map[string]int{}
		for i, l := range p.Looks {
			s, ok := over(p.hot(l.Name), c.figure)
			if !ok {
				continue
			}
			spreads[i], empty = s, false
			if l.Failed {
				continue
			}
			rivals[l.Place]++
			if v, ok := values[l.Place]; !ok || c.higher && s.Mid > v || !c.higher && s.Mid < v {
				values[l.Place], best[l.Place] = s.Mid, c.text(s.Mid)
			}
		}
		for i, l := range p.Looks {
			one := cell{}
			if s, ok := spreads[i]; ok {
				one = cellOf(s, c.text)
				one.Best = rivals[l.Place] > 1 && !l.Failed && one.Mid == best[l.Place]
			}
			t.Rows[i].Look = l
			t.Rows[i].Cells = append(t.Rows[i].Cells, one)
		}
	}
	if empty {
		return nil
	}
	return t
}

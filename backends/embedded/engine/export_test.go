package engine

// Straight returns how many functions of the program's head are straight, and whether it
// has a way.
func (p *Program) Straight() (functions int, way bool) { return len(p.straight), p.way != nil }

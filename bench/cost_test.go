package bench

import (
	"testing"
	"time"
)

func TestRedisCPUAddsUserAndSystem(t *testing.T) {
	const info = "# CPU\r\nused_cpu_sys:1.250000\r\nused_cpu_user:0.500000\r\nused_cpu_sys_children:7.0\r\nused_cpu_user_children:8.0\r\nused_cpu_sys_main_thread:1.2\r\n"
	if got, err := redisCPU(info); err != nil || got != 1750*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := redisCPU("used_cpu_sys:much\r\n"); err == nil {
		t.Error("nonsense was read")
	}
}

func TestCostsAreOfOneHold(t *testing.T) {
	m := Measured{Run: Run{Holds: 4}}
	m.costs(cost{client: time.Second, server: time.Second, mallocs: 100}, cost{client: 3 * time.Second, server: time.Second, mallocs: 140})
	if m.Run.ClientCPU == nil || *m.Run.ClientCPU != 0.5 || m.Run.Allocs == nil || *m.Run.Allocs != 10 {
		t.Errorf("%v s, %v objects", m.Run.ClientCPU, m.Run.Allocs)
	}
	if m.Run.ServerCPU != nil {
		t.Errorf("a server that tells nothing took %v", *m.Run.ServerCPU)
	}
	several := Measured{Run: Run{Holds: 4, Workload: Workload{Processes: 2}}}
	several.costs(cost{}, cost{client: time.Second})
	if several.Run.ClientCPU != nil {
		t.Error("the conductor's time was told for its workers'")
	}
}

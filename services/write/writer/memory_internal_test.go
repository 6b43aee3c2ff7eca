package writer

import (
	"strconv"
	"testing"

	"github.com/freshet-io/freshet/libs/record"
)

func TestMemory_isBoundedAndDropsWhatWasUsedLeast(t *testing.T) {
	m := newMemory(10_000, 1)
	known := func(key string) []*item {
		return []*item{{key: key, known: true, plan: plan{state: record.State{Held: make([]byte, 100), Sources: record.Orders{"shop": {1, 2}}}}}}
	}
	unknown := func(key string) int {
		_, _, unknown := m.take(known(key))
		return len(unknown)
	}
	m.keep(known("used"))
	for i := range 100 {
		m.keep(known(strconv.Itoa(i)))
		if unknown("used") > 0 {
			t.Fatalf("after %d others, the state that is used all the time was dropped", i)
		}
		m.keep(known("used"))
		if m.size > m.limit {
			t.Fatalf("it holds %d bytes of %d", m.size, m.limit)
		}
	}
	if n := m.states.Len(); n < 10 || n > 20 {
		t.Errorf("it holds %d states of about 650 bytes in 10000", n)
	}
	if unknown("0") == 0 {
		t.Error("the oldest state is still there")
	}
	if remembered, loaded := m.counts(); remembered != 100 || loaded != 1 {
		t.Errorf("it counted %d states that were remembered, %d that were not, want 100 and 1", remembered, loaded)
	}
	if m.forget(); m.size != 0 || m.states.Len() != 0 {
		t.Errorf("after it was forgotten, it holds %d bytes", m.size)
	}
	if m = newMemory(0, 1); unknown("a") == 0 || m.size != 0 {
		t.Error("a memory of no size remembers")
	}
}

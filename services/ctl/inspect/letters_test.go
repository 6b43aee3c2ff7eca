package inspect

import (
	"fmt"
	"testing"
	"time"
)

func TestOldest_comesFirstWhateverPartitionWasReadFirst(t *testing.T) {
	at := func(second int, source string) Letter { return Letter{At: time.Unix(int64(second), 0), Source: source} }
	read := []Letter{at(3, "p0/0"), at(5, "p0/1"), at(1, "p1/0"), at(3, "p1/1")}
	for limit, want := range map[int]string{100: "[p1/0 p0/0 p1/1 p0/1]", 2: "[p1/0 p0/0]", 0: "[]", -1: "[]"} {
		got := []string{}
		for _, l := range oldest(append([]Letter{}, read...), limit) {
			got = append(got, l.Source)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("limit %d: got %v, want %s", limit, got, want)
		}
	}
}

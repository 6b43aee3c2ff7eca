package inspect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
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

func TestNewest_isBoundedInBytesToo(t *testing.T) {
	letters := make([]Letter, 300)
	for i := range letters {
		letters[i] = Letter{Offset: int64(i), key: strings.Repeat("k", 512<<10)} // what a topic of 4 MiB lets an id be
	}
	kept := newest(letters)
	if len(kept) != letterMemory/(512<<10) || kept[len(kept)-1].Offset != 299 {
		t.Errorf("%d are kept, want those that fit into %d MB, and the newest ones", len(kept), letterMemory>>20)
	}
	if kept := newest(make([]Letter, recentLetters+5)); len(kept) != recentLetters {
		t.Errorf("%d are kept, want %d", len(kept), recentLetters)
	}
	if kept := newest(letters[:3]); len(kept) != 3 {
		t.Errorf("%d of 3 are kept", len(kept))
	}
}

func TestLetterOf_anEntryOfRedisIsNamed(t *testing.T) {
	r := &kgo.Record{Headers: []kgo.RecordHeader{
		{Key: record.HeaderRedisStream, Value: []byte("product:update:stream")}, {Key: record.HeaderRedisID, Value: []byte("1796098460236-0")},
	}}
	if got := letterOf(r).Entry; got != "product:update:stream 1796098460236-0" {
		t.Errorf("it is of %q", got)
	}
	if got := letterOf(&kgo.Record{}).Entry; got != "" {
		t.Errorf("one of no stream is of %q", got)
	}
}

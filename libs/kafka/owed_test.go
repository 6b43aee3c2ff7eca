package kafka_test

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"pgregory.net/rapid"

	"github.com/freshet-io/freshet/libs/kafka"
)

func TestOwed_isReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offsets := rapid.SliceOfDistinct(rapid.Int64Range(0, 1<<62), rapid.ID[int64]).Draw(t, "offsets")
		slices.Sort(offsets)
		text := kafka.EncodeOwed(offsets)
		got, err := kafka.DecodeOwed(text)
		if err != nil || !slices.Equal(got, offsets) {
			t.Fatalf("%v, %v; not %v", got, err, offsets)
		}
		size, before := 0, int64(0)
		for _, o := range offsets {
			size, before = size+kafka.OwedBytes(o, before), o
		}
		if (4*size+2)/3 != len(text) {
			t.Fatalf("%d bytes in %d letters", size, len(text))
		}
	})
}

func FuzzDecodeOwed(f *testing.F) {
	f.Add("_____________wE") // beyond 64 bits
	f.Add("gA")              // a varint that does not end
	f.Add("AQ==")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := kafka.DecodeOwed(text); err == nil && !slices.IsSorted(got) {
			t.Errorf("%v", got)
		}
	})
}

func TestFinished_isBeforeWhatIsOwed(t *testing.T) {
	for metadata, want := range map[string]int64{
		"":               100,
		"a member's id":  100,
		`{"clean":true}`: 100,
		`{"owed":"` + kafka.EncodeOwed([]int64{7, 90}) + `"}`: 7,
	} {
		if got := kafka.Finished(kadm.OffsetResponse{Offset: kadm.Offset{At: 100, Metadata: metadata}}); got != want {
			t.Errorf("%s: %d, not %d", metadata, got, want)
		}
	}
}

func TestEncodeOwed_isAsFormatMdSays(t *testing.T) {
	if got := kafka.EncodeOwed([]int64{4, 5, 7}); got != "BAEC" {
		t.Errorf("got %s", got)
	}
}

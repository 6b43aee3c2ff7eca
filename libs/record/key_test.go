package record

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func anyItem() *rapid.Generator[Item] {
	return rapid.Custom(func(t *rapid.T) Item {
		return Item{
			Collection: rapid.StringN(1, 20, 100).Draw(t, "collection"),
			Tenant:     rapid.String().Draw(t, "tenant"),
			ID:         rapid.SliceOfN(rapid.String(), 1, 4).Draw(t, "id"),
		}
	})
}

func TestKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		item := anyItem().Draw(t, "item")
		got, err := ParseKey(item.Key())
		if err != nil || got.Collection != item.Collection || got.Tenant != item.Tenant || !slices.Equal(got.ID, item.ID) {
			t.Fatalf("ParseKey(%q) = %+v, %v, want %+v", item.Key(), got, err, item)
		}
	})
}

func TestNoTwoItemsShareAKey(t *testing.T) {
	items := map[string]Item{
		"tenant and id":             {"Product", "a", []string{"bc"}},
		"letter moved to the id":    {"Product", "ab", []string{"c"}},
		"no tenant, two id parts":   {"Product", "", []string{"a", "bc"}},
		"no tenant, one id part":    {"Product", "", []string{"abc"}},
		"empty part first":          {"Product", "", []string{"", "abc"}},
		"empty part last":           {"Product", "", []string{"abc", ""}},
		"letter of the collection":  {"Produc", "t", []string{"abc"}},
		"length that looks like id": {"Product", "", []string{"\x03abc"}},
	}
	seen := map[string]string{}
	for name, item := range items {
		if other, twice := seen[string(item.Key())]; twice {
			t.Errorf("%s and %s share the key %q", name, other, item.Key())
		}
		seen[string(item.Key())] = name
	}
}

func TestParseKeyRefusesWhatKeyNeverWrites(t *testing.T) {
	tests := map[string]string{
		"empty":                           "",
		"a producer's plain key":          "4711",
		"a producer's JSON key":           `{"id":4711}`,
		"cut in a part":                   "\x07Product\x00\x0447",
		"length beyond the end":           "\x07Product\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f1",
		"length beyond 64 bits":           "\x07Product\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f1",
		"no id":                           "\x07Product\x00",
		"no collection":                   "\x00\x00\x011",
		"padded length: two keys an item": "\x87\x00Product\x00\x011",
	}
	for name, key := range tests {
		t.Run(name, func(t *testing.T) {
			if item, err := ParseKey([]byte(key)); !errors.Is(err, ErrKey) {
				t.Errorf("ParseKey = %+v, %v, want ErrKey", item, err)
			}
		})
	}
}

func TestItemString(t *testing.T) {
	tests := map[string]Item{
		"Product/4711":      {"Product", "", []string{"4711"}},
		"Product/shop/4711": {"Product", "shop", []string{"4711"}},
		"Product/1+A2":      {"Product", "", []string{"1", "A2"}},
	}
	for want, item := range tests {
		if got := item.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestGoldenPlaces: these numbers are on disks. If one changes, every item is stored
// twice, and its changes are in two partitions without an order between them.
func TestGoldenPlaces(t *testing.T) {
	tests := []struct {
		item       Item
		key        string
		uuid       string
		of24, of50 int32
	}{
		{Item{"Product", "", []string{"4711"}}, "\x07Product\x00\x044711", "6a2f5e85-6983-5826-afcd-0a390ee46b81", 5, 39},
		{Item{"Product", "shop-1", []string{"4711"}}, "\x07Product\x06shop-1\x044711", "aa21e95b-91ee-55c8-a92a-cf28840364d5", 20, 36},
		{Item{"Product", "", []string{"7", "A-2"}}, "\x07Product\x00\x017\x03A-2", "ef608177-9835-563a-b29c-5388b4408e92", 2, 22},
		{Item{"商品", "店", []string{"1720349049869471748"}}, "\x06商品\x03店\x131720349049869471748", "983e4593-cafe-5fdd-8544-bf3971ce0589", 2, 8},
	}
	for _, tt := range tests {
		t.Run(tt.item.String(), func(t *testing.T) {
			if key := tt.item.Key(); string(key) != tt.key {
				t.Errorf("Key = %q, want %q", key, tt.key)
			}
			if id := tt.item.UUID().String(); id != tt.uuid {
				t.Errorf("UUID = %s, want %s", id, tt.uuid)
			}
			if of24, of50 := Partition([]byte(tt.key), 24), Partition([]byte(tt.key), 50); of24 != tt.of24 || of50 != tt.of50 {
				t.Errorf("partitions %d of 24 and %d of 50, want %d and %d", of24, of50, tt.of24, tt.of50)
			}
		})
	}
}

func TestPartitionIsInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int32Min(1).Draw(t, "partitions")
		if p := Partition(rapid.SliceOf(rapid.Byte()).Draw(t, "key"), n); p < 0 || p >= n {
			t.Fatalf("partition %d of %d", p, n)
		}
	})
}

package record

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"
)

// Item names a thing that is indexed.
type Item struct {
	Collection string   // logical name, never that of a generation
	Tenant     string   // "" where the pipeline has none
	ID         []string // parts in the pipeline's order, numbers in canonical decimal
}

// ErrKey says that bytes are not the key of an item.
var ErrKey = errors.New("not an item key")

// namespace is the UUIDv5 namespace of all objects: it must never change, or
// every item would be stored twice.
var namespace = uuid.MustParse("7b0c9fb2-6f0e-5c2b-9f5d-3d8b6f5a3c11")

// Key returns the item's Kafka key: each part with its length as uvarint before
// it, so that no two items share one ("ab","c" and "a","bc" differ).
func (it Item) Key() []byte {
	n := len(it.Collection) + len(it.Tenant) + 2*binary.MaxVarintLen16
	for _, p := range it.ID {
		n += len(p) + binary.MaxVarintLen16
	}
	key := appendPart(make([]byte, 0, n), it.Collection)
	key = appendPart(key, it.Tenant)
	for _, p := range it.ID {
		key = appendPart(key, p)
	}
	return key
}

func appendPart(b []byte, part string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

// ParseKey returns the item of a key: only of the bytes that Key gives for it. Its
// error is ErrKey.
func ParseKey(key []byte) (Item, error) {
	var parts []string
	for rest := key; len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		padded := size > 1 && rest[size-1] == 0 // a second key for the same item
		if size <= 0 || padded || n > uint64(len(rest)-size) {
			return Item{}, ErrKey
		}
		parts = append(parts, string(rest[size:size+int(n)]))
		rest = rest[size+int(n):]
	}
	if len(parts) < 3 || parts[0] == "" {
		return Item{}, ErrKey
	}
	return Item{Collection: parts[0], Tenant: parts[1], ID: parts[2:]}, nil
}

// UUID returns the id of the item's object in the index: a UUIDv5 of its key.
func (it Item) UUID() uuid.UUID { return uuid.NewSHA1(namespace, it.Key()) }

// String returns the item for people: Product/tenant/4711 or Product/1+A2.
func (it Item) String() string {
	id := strings.Join(it.ID, "+")
	if it.Tenant == "" {
		return it.Collection + "/" + id
	}
	return it.Collection + "/" + it.Tenant + "/" + id
}

// Partition returns the partition of a key among n. The hash is fixed, so that an
// item stays in one partition number at every hop and under every client.
func Partition(key []byte, n int32) int32 {
	return int32(xxhash.Sum64(key) % uint64(n)) //nolint:gosec // less than n
}

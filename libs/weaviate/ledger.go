package weaviate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/freshet-io/freshet/libs/record"
)

// Ledger is what a collection knows of having been fed, for one partition. It lies in the side
// collection on purpose: an index that is restored from a backup brings the ledger of then along,
// and one that is emptied has none.
type Ledger struct {
	// Serial counts the ledger's writes. Whoever knows of a higher one than the index has knows
	// that the index went back.
	Serial int64 `json:"serial"`
	// Fed says, by topic, up to where all records are in the index, and on its disk.
	Fed map[string]Fed `json:"fed"`
	// Horizon is the highest version of a tombstone that was swept; 0 where none was.
	Horizon int64 `json:"horizon,omitempty"`
}

// Fed is a place in a topic of a certain id.
type Fed struct {
	TopicID string `json:"topic_id"` // hexadecimal
	Offset  int64  `json:"offset"`   // of the first record that may be missing
}

// ledgerItem names the ledger of a partition. It has no id, which every item has.
func ledgerItem(name string, partition int32) record.Item {
	return record.Item{Collection: name, Tenant: "ledger/" + strconv.Itoa(int(partition))}
}

// Ledgers returns the ledgers of partitions, as far as the collection has them.
func (c *Client) Ledgers(ctx context.Context, name string, partitions []int32) (map[int32]Ledger, error) {
	b, err := c.named(name)
	if err != nil {
		return nil, err
	}
	ledgers := map[int32]Ledger{}
	for some := range slices.Chunk(partitions, getItems) {
		if err := c.readLedgers(ctx, b, some, ledgers); err != nil {
			return nil, err
		}
	}
	return ledgers, nil
}

func (c *Client) readLedgers(ctx context.Context, b *collection, partitions []int32, ledgers map[int32]Ledger) error {
	items, partitionOf := make([]record.Item, len(partitions)), map[string]int32{}
	for i, p := range partitions {
		items[i] = ledgerItem(b.spec.Name, p)
		partitionOf[items[i].UUID().String()] = p
	}
	results, err := c.byID(ctx, b.side(), b.spec.SideClass(), part{items: items}, reading{})
	if err != nil {
		return err
	}
	for _, r := range results {
		var l Ledger
		p := partitionOf[r.GetMetadata().GetId()]
		text := r.GetProperties().GetNonRefProps().GetFields()[propLedger].GetTextValue()
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return fmt.Errorf("reading the ledger of partition %d in %s: %w", p, b.spec.SideClass(), err)
		}
		ledgers[p] = l
	}
	return nil
}

// NewLedger writes the first ledger of a partition. What an interrupted put has left where no filter finds it
// goes first: an equal one would be skipped, and the ledger never be found.
func (c *Client) NewLedger(ctx context.Context, name string, partition int32, l Ledger) error {
	if err := c.DeleteSide(ctx, name, []record.Item{ledgerItem(name, partition)}, true); err != nil {
		return err
	}
	return c.PutLedger(ctx, name, partition, l)
}

// PutLedger writes the ledger of a partition that has one. Only the owner of the partition does.
func (c *Client) PutLedger(ctx context.Context, name string, partition int32, l Ledger) error {
	b, err := c.named(name)
	if err != nil {
		return err
	}
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encoding the ledger of partition %d: %w", partition, err)
	}
	o := &pb.BatchObject{
		Uuid: ledgerItem(b.spec.Name, partition).UUID().String(), Collection: b.spec.SideClass(),
		Properties: &pb.BatchObject_Properties{NonRefProperties: &structpb.Struct{Fields: map[string]*structpb.Value{
			propLedger: structpb.NewStringValue(string(text)),
		}}},
	}
	rejected := map[int]error{}
	if err := c.send(ctx, b.side(), b.spec.SideClass(), put{objects: []*pb.BatchObject{o}, index: []int{0}}, rejected); err != nil {
		return err
	}
	return rejected[0]
}

// Tombstone is a deleted item.
type Tombstone struct {
	Item  record.Item
	Floor int64 // version of its delete
}

// Tombstones returns up to limit tombstones of a partition that were written before a time, in no
// order. One with the mark of a newer change that is a dead letter is none.
func (c *Client) Tombstones(ctx context.Context, name string, partition int32, before time.Time, limit int) ([]Tombstone, error) {
	b, err := c.named(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	reply, err := c.grpc.Search(ctx, &pb.SearchRequest{
		Collection: b.spec.SideClass(), Limit: uint32(limit), Uses_127Api: true, //nolint:gosec // small and positive
		Properties: &pb.PropertiesRequest{ReturnAllNonrefProperties: true},
		Metadata:   &pb.MetadataRequest{Uuid: true},
		Filters: &pb.Filters{Operator: pb.Filters_OPERATOR_AND, Filters: []*pb.Filters{
			condition(propPartition, pb.Filters_OPERATOR_EQUAL, &pb.Filters{TestValue: &pb.Filters_ValueInt{ValueInt: int64(partition)}}),
			condition(propDeletedAt, pb.Filters_OPERATOR_LESS_THAN, &pb.Filters{TestValue: &pb.Filters_ValueText{ValueText: before.UTC().Format(time.RFC3339)}}),
		}},
	})
	if err != nil {
		return nil, classify("looking for tombstones in "+b.spec.SideClass(), err)
	}
	var tombstones []Tombstone
	for _, r := range reply.GetResults() {
		s, err := b.decode(r)
		if err != nil {
			return nil, fmt.Errorf("reading a tombstone of %s: %w", b.spec.SideClass(), err)
		}
		item, err := itemOf(r)
		if err != nil {
			return nil, err
		}
		if !s.Live() && s.Floor > 0 && s.Failed == nil {
			tombstones = append(tombstones, Tombstone{item, s.Floor})
		}
	}
	return tombstones, nil
}

// condition completes a filter that has its value.
func condition(property string, op pb.Filters_Operator, f *pb.Filters) *pb.Filters {
	f.Operator, f.Target = op, &pb.FilterTarget{Target: &pb.FilterTarget_Property{Property: property}}
	return f
}

package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const collection = "Product" // the catalogue's

// products returns n products that differ in id and text.
func products(n int) []catalogue.Product {
	all := catalogue.Products()
	list := make([]catalogue.Product, n)
	for i := range list {
		p := all[i%len(all)]
		p.ID, p.Active = int64(i+1), true
		p.Name = fmt.Sprintf("%s No. %d", p.Name, i+1)
		list[i] = p
	}
	return list
}

// fresh returns n products that the bed has not had yet.
func (b *bed) fresh(n int) []catalogue.Product {
	b.given += n
	return products(b.given)[b.given-n:]
}

// changeBytes is the size of the envelopes that ingest is measured with.
const changeBytes = 2048

// envelopes returns n changes of prices as a connector would send them.
func envelopes(n int) []*kgo.Record {
	list := products(n)
	records := make([]*kgo.Record, n)
	for i, p := range list {
		_, bare := catalogue.Update(p, p, time.Now())
		// The description is in it twice, before and after. What makes it longer is text
		// of other products: the same words again would compress to nothing.
		longer := len(p.Description) + max(changeBytes-len(bare), 0)/2
		for k := 1; len(p.Description) < longer; k++ {
			p.Description += " " + list[(i+k)%n].Description
		}
		p.Description = strings.ToValidUTF8(p.Description[:longer], "")
		after := p
		after.Price++
		key, value := catalogue.Update(p, after, time.Now())
		records[i] = &kgo.Record{Topic: catalogue.Topic, Partition: int32(i % partitions), Key: key, Value: value}
	}
	return records
}

// documents returns what ingest makes of products as they are now.
func (b *bed) documents(ctx context.Context, list []catalogue.Product) ([]*record.Document, error) {
	in, err := ingester.New(b.file, ingester.Options{Config: ingester.DefaultConfig()})
	if err != nil {
		return nil, err
	}
	changes := make([]ingester.Change, len(list))
	for i, p := range list {
		key, value := catalogue.Create(p, time.Now())
		b.last++
		changes[i] = ingester.Change{Record: stage.Record{Topic: catalogue.Topic, Offset: b.last, Key: key, Value: value}}
	}
	outcomes, err := in.Handle(ctx, changes)
	if err != nil {
		return nil, err
	}
	docs := make([]*record.Document, len(list))
	for i, o := range outcomes {
		if len(o.Out) != 1 {
			return nil, fmt.Errorf("product %d became %d documents: %w", list[i].ID, len(o.Out), o.Err)
		}
		docs[i] = o.Out[0]
	}
	return docs, nil
}

// placed returns a record in the partition of its item.
func (b *bed) placed(topic string, item record.Item, value []byte) *kgo.Record {
	key := item.Key()
	return &kgo.Record{Topic: topic, Partition: record.Partition(key, b.identity.Partitions), Key: key, Value: value}
}

// vectors returns documents with random vectors, as embed produces them.
func (b *bed) vectors(docs []*record.Document) []*record.Vector {
	space := b.file.Space
	list := make([]*record.Vector, len(docs))
	for i, d := range docs {
		b.last++
		list[i] = &record.Vector{
			Document: d, Version: b.last, VersionOrigin: record.VersionOrigin_VERSION_ORIGIN_LOG,
			Space: space.String(), Fingerprint: record.Fingerprint(space.String(), d.GetText()),
			Vector: record.AppendVector(nil, vectorOf(d.GetText(), space.Dimensions)),
			State:  record.VectorState_VECTOR_STATE_PRESENT,
		}
	}
	return list
}

// vectorOf returns the vector of a text: another one for every text, and always the
// same, so that an item can be looked for by it.
func vectorOf(text string, dimensions int) []float32 {
	fingerprint := record.Fingerprint("bench", text)
	source := rand.New(rand.NewChaCha8([32]byte(append(fingerprint, fingerprint...))))
	v := make([]float32, dimensions)
	for i := range v {
		v[i] = source.Float32() - 0.5
	}
	return v
}

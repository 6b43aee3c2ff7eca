package writer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// Ledgers is what a keeper asks of Weaviate: package weaviate documents each method.
type Ledgers interface {
	Ledgers(ctx context.Context, collection string, partitions []int32) (map[int32]weaviate.Ledger, error)
	NewLedger(ctx context.Context, collection string, partition int32, l weaviate.Ledger) error
	PutLedger(ctx context.Context, collection string, partition int32, l weaviate.Ledger) error
	Life(ctx context.Context) string
	Tombstones(ctx context.Context, collection string, partition int32, before time.Time, limit int) ([]weaviate.Tombstone, error)
}

// Keeper has the index remember up to where it was fed, notices that it went back, and sweeps old
// tombstones. It implements stage.Keeper.
//
// The index forgets in three ways, and Kafka in none. Emptied, a collection has no ledger: that is
// fatal. Restored, its ledger is an older one than Kafka knows of: what was fed since is fed again.
// And where a call has failed, or the server was started anew since the owner before, it may have lost
// what it had acknowledged and not yet on its disk: what was done in the minute before is done again.
type Keeper struct {
	writer    *Writer
	index     Ledgers
	names     []string          // of the collections, sorted
	topicIDs  map[string]string // of the stage's topics
	retention time.Duration     // of tombstones; 0 keeps them for ever

	mu    sync.Mutex
	parts map[int32]*part
}

type part struct {
	serial int64            // what every ledger has at least
	life   string           // of the index, at the assignment
	fed    map[string]int64 // what the ledgers say, or are to say
	now    map[string]int64 // how far the partition was when they were written
	write  bool             // they are to be written whatever is in them
	known  int64            // the lowest serial that was seen when that was found; 0 where it was found at the assignment
	// again is how far the partition was when the work since fed began anew. Until it has come there
	// once more it does not begin anew because of another outage: it would never come to an end.
	again   map[string]int64
	outages int64     // of the writer, that were made good
	sweepAt time.Time // the next sweep
}

// NewKeeper returns the keeper of a writer's collections. topicIDs are those of the topics that the
// writer's stage reads, in hexadecimal.
func NewKeeper(w *Writer, index Ledgers, topicIDs map[string]string, retention time.Duration) *Keeper {
	return &Keeper{
		writer: w, index: index, names: slices.Sorted(maps.Keys(w.collections)), topicIDs: topicIDs, retention: retention,
		parts: map[int32]*part{},
	}
}

// seal is what Kafka knows of the ledgers of a partition: they exist, and have this serial at least.
type seal struct {
	serial int64
	life   string   // of the index, when the partition was assigned; "" where that was not known
	names  []string // of the collections, as shortName has them
}

func (k *Keeper) seal(p *part) string {
	words := []string{strconv.FormatInt(p.serial, 10) + "." + p.life}
	for _, name := range k.names {
		words = append(words, shortName(name))
	}
	return strings.Join(words, " ")
}

// ofOther reports whether the seal is surely of another life of the index.
func (s seal) ofOther(life string) bool { return s.life != "" && s.life != life }

// shortName stands for a collection in a seal: Kafka keeps 4 KB with an offset, which is enough for 500 of these.
func shortName(collection string) string {
	hash := sha256.Sum256([]byte(collection))
	return base64.RawURLEncoding.EncodeToString(hash[:])[:6]
}

func parseSeal(text string) seal {
	first, names, _ := strings.Cut(text, " ")
	serial, life, _ := strings.Cut(first, ".")
	n, _ := strconv.ParseInt(serial, 10, 64) // 0 where there is no seal
	return seal{n, life, strings.Fields(names)}
}

// load returns the ledgers of partitions, by collection.
func (k *Keeper) load(ctx context.Context, partitions []int32) (map[string]map[int32]weaviate.Ledger, error) {
	all := map[string]map[int32]weaviate.Ledger{}
	for _, name := range k.names {
		ledgers, err := asked(ctx, k.writer, func() (map[int32]weaviate.Ledger, error) { return k.index.Ledgers(ctx, name, partitions) })
		if err != nil {
			return nil, fmt.Errorf("reading the ledgers of collection %s: %w", name, err)
		}
		all[name] = ledgers
	}
	return all, nil
}

func emptied(name string, partition int32) error {
	return fault.Halt("collection %s has no ledger of partition %d, and Kafka knows that it had one: the index was emptied, or is older than the log. Restore a backup of it; or, to fill it anew, stop write, set its group's offsets of both vector topics (`kafka-consumer-groups --reset-offsets --to-earliest`) and send all rows again", name, partition)
}

// Keep implements stage.Keeper.
func (k *Keeper) Keep(ctx context.Context, partition int32, progress stage.Progress) (stage.Start, error) {
	p := k.part(partition)
	outages := k.writer.outages.count()
	ledgers, err := k.load(ctx, []int32{partition})
	if err != nil {
		return stage.Start{}, err
	}
	have := of(partition, ledgers)
	for _, name := range k.names {
		if _, ok := have[name]; !ok {
			return stage.Start{}, emptied(name, partition)
		}
	}
	// What was done less than a minute before an outage may be lost, however long that took: where it
	// was settled before it stays until the outage is made good.
	if progress.Settled != nil && outages == p.outages && !k.writer.awaitsLate(partition) {
		p.fed = progress.Settled
	}
	back := k.back(partition, p, have) // first: what was fed before an index that is restored decides from where all is done again
	overwritten, err := k.writer.overwritten(ctx, partition)
	if err != nil {
		return stage.Start{}, err
	}
	outage := outages != p.outages && reached(progress.Now, p.again)
	if back || outage {
		p.outages = outages
	}
	switch offsets := behind(p.fed, progress.Now); {
	case back, outage && len(offsets) > 0:
		k.writer.TakeOver() // what it knows of the index is not so any more
		return k.goBack(p, progress.Now, offsets, have), nil
	case overwritten:
		return k.goBack(p, progress.Now, offsets, have), nil
	}
	if p.write || !maps.Equal(p.now, progress.Now) {
		if err := k.write(ctx, partition, p, have); err != nil {
			return stage.Start{}, err
		}
		p.write, p.now = false, progress.Now
	}
	return stage.Start{Seal: k.seal(p), Late: k.writer.awaitsLate(partition)}, k.sweep(ctx, partition, p)
}

// goBack has a partition begin anew at earlier offsets. Until they are committed, which is before the next Keep, a commit of
// what was marked before must not pass for the truth.
func (k *Keeper) goBack(p *part, now, offsets map[string]int64, have map[string]weaviate.Ledger) stage.Start {
	p.write, p.again, p.known = true, now, math.MaxInt64
	for _, l := range have {
		p.known = min(p.known, l.Serial)
	}
	return stage.Start{Offsets: offsets, Seal: k.seal(p), Late: true}
}

// part returns what is known of a partition, nil where that is nothing.
func (k *Keeper) part(partition int32) *part {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.parts[partition]
}

// back reports whether the index has gone back since the ledgers were written. What they say is
// taken over then.
func (k *Keeper) back(partition int32, p *part, have map[string]weaviate.Ledger) bool {
	least := p.serial
	if p.write {
		least = p.known // that they are older than they should be is known, and they are written next
	}
	back := false
	for name, l := range have {
		if l.Serial < least {
			back = true
			k.writer.setHorizon(name, partition, l.Horizon)
		}
	}
	if !back {
		return false
	}
	p.fed = maps.Clone(p.fed)
	for _, l := range have {
		for topic, fed := range l.Fed {
			p.fed[topic] = min(p.fed[topic], fed.Offset)
		}
	}
	return true
}

// behind returns the offsets that are below those of now.
func behind(fed, now map[string]int64) map[string]int64 {
	offsets := map[string]int64{}
	for topic, at := range fed {
		if at < now[topic] {
			offsets[topic] = at
		}
	}
	return offsets
}

func reached(fed, goal map[string]int64) bool { return len(behind(fed, goal)) == 0 }

// write writes the ledgers of a partition, with a serial that nobody has seen yet.
func (k *Keeper) write(ctx context.Context, partition int32, p *part, have map[string]weaviate.Ledger) error {
	serial := p.serial
	for _, l := range have {
		serial = max(serial, l.Serial)
	}
	serial++
	for _, name := range k.names {
		l := weaviate.Ledger{Serial: serial, Fed: k.fed(p.fed), Horizon: k.writer.horizon(name, partition)}
		if err := k.put(ctx, k.index.PutLedger, name, partition, l); err != nil {
			return err
		}
	}
	p.serial = serial
	return nil
}

type ledgerCall func(ctx context.Context, collection string, partition int32, l weaviate.Ledger) error

func (k *Keeper) put(ctx context.Context, call ledgerCall, name string, partition int32, l weaviate.Ledger) error {
	if err := k.writer.call(ctx, func() error { return call(ctx, name, partition, l) }); err != nil {
		return fmt.Errorf("writing the ledger of partition %d in collection %s: %w", partition, name, err)
	}
	return nil
}

func (k *Keeper) fed(offsets map[string]int64) map[string]weaviate.Fed {
	fed := map[string]weaviate.Fed{}
	for topic, at := range offsets {
		fed[topic] = weaviate.Fed{TopicID: k.topicIDs[topic], Offset: at}
	}
	return fed
}

package writer

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// Resume implements stage.Keeper.
func (k *Keeper) Resume(ctx context.Context, committed map[int32]stage.Committed) (map[int32]stage.Start, error) {
	ledgers, err := k.load(ctx, slices.Sorted(maps.Keys(committed)))
	if err != nil {
		return nil, err
	}
	life, starts := k.index.Life(ctx), map[int32]stage.Start{}
	for partition, places := range committed {
		have := of(partition, ledgers)
		b, err := k.begin(partition, places, have, life)
		if err != nil {
			return nil, err
		}
		for name, l := range have {
			k.writer.setHorizon(name, partition, l.Horizon)
		}
		p := &part{serial: b.serial, life: b.life, fed: b.fed, write: b.back, outages: k.madeGood(partition), sweepAt: soon(sweepEvery)}
		for _, name := range b.absent {
			l := weaviate.Ledger{Serial: b.newest + 1, Fed: k.fed(b.fed)}
			if err := k.put(ctx, k.index.NewLedger, name, partition, l); err != nil {
				return nil, err
			}
		}
		k.writer.forgetLate(partition)
		k.mu.Lock()
		k.parts[partition] = p
		k.mu.Unlock()
		starts[partition] = stage.Start{Offsets: b.lower, Seal: k.seal(p)}
	}
	return starts, nil
}

// madeGood returns how many outages were made good for a partition that is assigned now: those that
// were when this process had it last. Any other one since its start may have lost what the owner of
// then had brought in, who may have died with it.
func (k *Keeper) madeGood(partition int32) int64 {
	if p := k.part(partition); p != nil {
		return p.outages
	}
	return 0
}

// of returns the ledgers of one partition, by collection.
func of(partition int32, ledgers map[string]map[int32]weaviate.Ledger) map[string]weaviate.Ledger {
	have := map[string]weaviate.Ledger{}
	for name, all := range ledgers {
		if l, ok := all[partition]; ok {
			have[name] = l
		}
	}
	return have
}

type beginning struct {
	lower  map[string]int64 // topics that begin before what is committed
	fed    map[string]int64
	back   bool  // the index went back
	serial int64 // of the seal: the lower one, until the ledgers are written anew
	life   string
	newest int64    // the highest serial that anybody knows of
	absent []string // collections that have no ledger yet
}

// begin decides where a partition begins. The index went back where its oldest ledger is older than
// Kafka knows of. Where Kafka knows of none, the group's offsets have expired, or a person has set
// them, and that counts. In another life than it knows of, the index may have lost what it had
// acknowledged last: the owner before may have died in the same outage, so that nobody saw a call fail. The ledgers are
// of before a call of that owner's which may still land.
func (k *Keeper) begin(partition int32, committed stage.Committed, have map[string]weaviate.Ledger, life string) (beginning, error) {
	known, late := sealed(committed)
	b := beginning{fed: map[string]int64{}, life: cmp.Or(life, known.life)}
	offsets := map[string]int64{}
	for topic, place := range committed {
		offsets[topic], b.fed[topic] = place.Offset, max(place.Offset, 0)
	}
	b.newest = known.serial
	oldest := int64(math.MaxInt64)
	for _, name := range k.names {
		l, ok := have[name]
		if !ok && slices.Contains(known.names, shortName(name)) {
			return b, emptied(name, partition)
		}
		if !ok {
			b.absent = append(b.absent, name)
			continue
		}
		if err := k.sameTopics(name, partition, l); err != nil {
			return b, err
		}
		oldest, b.newest = min(oldest, l.Serial), max(b.newest, l.Serial)
		for topic, fed := range l.Fed {
			if place, ok := committed[topic]; ok && !place.ByHand {
				b.fed[topic] = min(b.fed[topic], fed.Offset)
			}
		}
	}
	if len(have) == 0 {
		oldest = b.newest + 1 // they are made now
	}
	b.serial = max(oldest, known.serial)
	b.back = len(have) > 0 && (known.serial == 0 || oldest < known.serial)
	if b.back || known.ofOther(b.life) || late {
		b.lower = behind(b.fed, offsets)
	}
	return b, nil
}

// sealed returns the newest seal that a stage has left, and whether a call of the owner before may land over what is committed.
func sealed(committed stage.Committed) (newest seal, late bool) {
	for _, place := range committed {
		late = late || place.Late
		if s := parseSeal(place.Seal); s.serial > newest.serial && !place.ByHand {
			newest = s
		}
	}
	return newest, late
}

func (k *Keeper) sameTopics(name string, partition int32, l weaviate.Ledger) error {
	for topic, fed := range l.Fed {
		if id := k.topicIDs[topic]; id != fed.TopicID {
			return fault.Halt("collection %s was fed from a topic %s of id %s (partition %d), which is now %q: the topic was made anew, or the index is a backup from before that; stop all services and run `freshet epoch raise`", name, topic, fed.TopicID, partition, id)
		}
	}
	return nil
}

package writer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/write/writer"
)

// fakeLog is a log that has given the versions up to end, with bulk rows at and above open.
type fakeLog struct {
	end, open int64
	asked     int
}

func (l *fakeLog) End(context.Context, int32) (int64, error) { l.asked++; return l.end, nil }

func (l *fakeLog) Open(context.Context, int32) (int64, error) { return l.open, nil }

var ids = map[string]string{"live": "aa", "bulk": "bb"}

// kept returns a writer with a log, and its keeper.
func kept(index checkedIndex, log *fakeLog, retention time.Duration) (*writer.Writer, *writer.Keeper) {
	cfg := config()
	cfg.Log, cfg.Partitions = log, spec(collection).Partitions
	w := writer.New(index, cfg)
	return w, writer.NewKeeper(w, index, ids, retention)
}

func partitionOf(id string) int32 {
	return record.Partition(itemOf(id).Key(), spec(collection).Partitions)
}

// labels handles a batch and says what became of each record.
func labels(t *testing.T, w *writer.Writer, b ...*record.Vector) []string {
	t.Helper()
	outcomes, err := w.Handle(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return result(outcomes)
}

// places is what a group has committed for a partition.
func places(live, bulk int64, seal string) stage.Committed {
	return stage.Committed{"live": {Offset: live, Seal: seal}, "bulk": {Offset: bulk, Seal: seal}}
}

func resume(t *testing.T, k *writer.Keeper, partition int32, c stage.Committed) stage.Start {
	t.Helper()
	starts, err := k.Resume(t.Context(), map[int32]stage.Committed{partition: c})
	if err != nil {
		t.Fatal(err)
	}
	return starts[partition]
}

func keep(t *testing.T, k *writer.Keeper, partition int32, now, settled map[string]int64) stage.Start {
	t.Helper()
	start, err := k.Keep(t.Context(), partition, stage.Progress{Now: now, Settled: settled})
	if err != nil {
		t.Fatal(err)
	}
	return start
}

func at(live, bulk int64) map[string]int64 { return map[string]int64{"live": live, "bulk": bulk} }

func testLedgers(t *testing.T, index checkedIndex) {
	ctx := t.Context()
	want := weaviate.Ledger{Serial: 7, Fed: map[string]weaviate.Fed{"live": {TopicID: "aa", Offset: 1<<48 - 1}}, Horizon: 1<<53 - 1}
	if err := errors.Join(index.NewLedger(ctx, collection, 23, weaviate.Ledger{Serial: 1}), index.PutLedger(ctx, collection, 23, want)); err != nil {
		t.Fatal(err)
	}
	got, err := index.Ledgers(ctx, collection, []int32{22, 23})
	if err != nil || len(got) != 1 || fmt.Sprint(got[23]) != fmt.Sprint(want) {
		t.Errorf("read %v, %v", got, err)
	}
	put := func(id string, s record.State) {
		if _, err := index.PutSide(ctx, collection, []weaviate.Object{{Item: itemOf(id), State: s}}); err != nil {
			t.Fatal(err)
		}
	}
	put("t1", record.State{Floor: 6, Sources: record.Orders{}})
	put("t2", record.State{Floor: 6, Sources: record.Orders{}, Failed: &record.Failure{Version: 7, Reason: "oversize"}})
	put("t3", record.State{Base: 7, Floor: 6, Sources: record.Orders{}})
	for _, id := range []string{"t1", "t2", "t3"} {
		want := ""
		if id == "t1" {
			want = "Product/t1 6 "
		}
		if got := tombstones(t, index, partitionOf(id), time.Now().Add(time.Hour), id); got != want {
			t.Errorf("the tombstones of %s are %q, want %q", id, got, want)
		}
	}
	if got := tombstones(t, index, partitionOf("t1"), time.Now().Add(-time.Hour), "t1"); got != "" {
		t.Errorf("a new tombstone counts as old: %s", got)
	}
	if got := tombstones(t, index, partitionOf("t1")+1, time.Now().Add(time.Hour), "t1"); got != "" {
		t.Errorf("another partition has it: %s", got)
	}
}

// tombstones lists those of one item.
func tombstones(t *testing.T, index checkedIndex, partition int32, before time.Time, id string) string {
	t.Helper()
	found, err := index.Tombstones(t.Context(), collection, partition, before, 100)
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for _, f := range found {
		if f.Item.ID[0] == id {
			fmt.Fprint(&list, f.Item, " ", f.Floor, " ")
		}
	}
	return list.String()
}

// testSweep: what is late cannot raise the dead, and what is new can.
func testSweep(t *testing.T, index checkedIndex) {
	const everythingIsOld = -time.Hour
	log := &fakeLog{end: 1000, open: math.MaxInt64}
	w, k := kept(index, log, everythingIsOld)
	p := partitionOf("swept")
	start := resume(t, k, p, places(0, 0, ""))
	handle(t, w, row("swept", 105, "lamp", 1), remove("swept", 106))
	sweep := func(want bool) {
		t.Helper()
		k.SweepNow(p)
		keep(t, k, p, at(log.end, 0), nil)
		stored, err := index.Load(t.Context(), collection, []record.Item{itemOf("swept")}, false)
		if gone := !stored[0].Main && !stored[0].Side; err != nil || gone != want {
			t.Fatalf("the tombstone is gone: %t, %v", gone, err)
		}
	}
	log.open = 106 // a bulk row of that version may still come, and loses against the delete
	sweep(false)
	log.open = 107
	sweep(true)
	late := func(w *writer.Writer) {
		t.Helper()
		redriven := row("swept", 104, "lamp", 1)
		redriven.VersionOrigin = record.VersionOrigin_VERSION_ORIGIN_EXPLICIT
		for _, b := range []batch{{bulk(row("swept", 106, "lamp", 1))}, {redriven}, {failed("swept", 105)}, {redriven}} {
			outcomes, err := w.Handle(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			want := "below-horizon"
			if b[0].GetDocument().GetOp() == record.Op_OP_FAILED {
				want = "stale"
			}
			if got := result(outcomes); got[0] != want {
				t.Errorf("a late record is %s, want %s", got[0], want)
			}
		}
		stored, err := index.Load(t.Context(), collection, []record.Item{itemOf("swept")}, false)
		if err != nil || stored[0].Main || stored[0].Side {
			t.Errorf("the dead item is there: %+v, %v", stored, err)
		}
	}
	late(w)
	next, k := kept(index, log, everythingIsOld) // another owner knows the horizon, too
	resume(t, k, p, places(3, 0, start.Seal))
	late(next)
	if got := labels(t, next, remove("swept", 107), row("swept", 108, "lamp", 1)); got[1] != "written" {
		t.Errorf("created again in the batch of its delete: %v", got)
	}
	if got := labels(t, next, remove("swept", 109), bulk(row("swept", 104, "lamp", 1))); !slices.Equal(got, []string{"deleted", "stale"}) {
		t.Errorf("a late row of an item that is known: %v", got)
	}
}

func TestKeeper_sweepsNoTombstoneThatALetterMayMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		index, log := newFake(), &fakeLog{end: 10, open: math.MaxInt64}
		w, k := kept(index, log, 35*day)
		p := partitionOf("a")
		resume(t, k, p, places(0, 0, ""))
		handle(t, w, row("a", 5, "lamp", 1), remove("a", 6))
		for range 34 * 24 {
			time.Sleep(time.Hour)
			keep(t, k, p, at(1, 0), nil)
		}
		if got := labels(t, w, bulk(row("a", 5, "lamp", 1))); got[0] != "stale" {
			t.Errorf("after 34 days a letter is %v", got)
		}
		for range 3 * 24 {
			time.Sleep(time.Hour)
			keep(t, k, p, at(1, 0), nil)
		}
		if main, side := index.has(itemOf("a")); main || side {
			t.Error("the tombstone is still there")
		}
		if outcomes, err := w.Handle(t.Context(), batch{bulk(row("a", 5, "lamp", 1))}); err != nil || result(outcomes)[0] != "below-horizon" {
			t.Errorf("weeks later a letter is %v, %v", result(outcomes), err)
		}
	})
}

func TestKeeper_resumes(t *testing.T) {
	ledger := func(serial, live int64, id string) map[int32]weaviate.Ledger {
		return map[int32]weaviate.Ledger{0: {Serial: serial, Fed: map[string]weaviate.Fed{"live": {TopicID: id, Offset: live}, "bulk": {TopicID: "bb", Offset: 4}}}}
	}
	byHand := places(9, 4, "")
	for topic, place := range byHand {
		place.ByHand = true
		byHand[topic] = place
	}
	late := places(9, 4, writer.SealOf(7, "", "Product"))
	late["bulk"] = stage.CommittedOffset{Offset: 4, Seal: late["bulk"].Seal, Late: true}
	none := map[int32]weaviate.Ledger{}
	for name, tt := range map[string]struct {
		index     map[int32]weaviate.Ledger
		committed stage.Committed
		lower     map[string]int64
		seal      string
		says      string // of a fatal fault
		life      string // of the index now
	}{
		"the index is as Kafka knows it":                    {index: ledger(7, 5, "aa"), committed: places(9, 4, writer.SealOf(7, "", "Product")), seal: writer.SealOf(7, "", "Product")},
		"it is newer: the owner ended before its commit":    {index: ledger(8, 5, "aa"), committed: places(9, 4, writer.SealOf(7, "", "Product")), seal: writer.SealOf(8, "", "Product")},
		"it is older: a backup was restored":                {index: ledger(6, 5, "aa"), committed: places(9, 4, writer.SealOf(7, "", "Product")), lower: map[string]int64{"live": 5}, seal: writer.SealOf(7, "", "Product")},
		"it has none: it was emptied":                       {index: none, committed: places(9, 4, writer.SealOf(7, "", "Product")), says: "the index was emptied"},
		"it has none, and nobody has begun":                 {index: none, committed: places(0, 0, ""), seal: writer.SealOf(1, "", "Product")},
		"it has none, and another collection is older":      {index: none, committed: places(9, 4, writer.SealOf(7, "", "Other")), seal: writer.SealOf(8, "", "Product")},
		"the group's offsets have expired":                  {index: ledger(7, 5, "aa"), committed: places(6, 0, ""), lower: map[string]int64{"live": 5}, seal: writer.SealOf(7, "", "Product")},
		"a person has set the offsets, past the ledger":     {index: ledger(7, 5, "aa"), committed: byHand, seal: writer.SealOf(7, "", "Product")},
		"a person has set the offsets of an emptied index":  {index: none, committed: byHand, seal: writer.SealOf(1, "", "Product")},
		"it was fed from a topic that is another one now":   {index: ledger(7, 5, "ff"), committed: places(9, 4, writer.SealOf(7, "", "Product")), says: "freshet epoch raise"},
		"it is older, and further than the group":           {index: ledger(6, 50, "aa"), committed: places(9, 4, writer.SealOf(7, "", "Product")), seal: writer.SealOf(7, "", "Product")},
		"it is older, and only one topic's commit knows it": {index: ledger(6, 5, "aa"), committed: stage.Committed{"live": {Offset: 9}, "bulk": {Offset: 4, Seal: writer.SealOf(7, "", "Product")}}, lower: map[string]int64{"live": 5}, seal: writer.SealOf(7, "", "Product")},
		"it was started anew, and perhaps nobody saw it":    {index: ledger(7, 5, "aa"), committed: places(9, 4, writer.SealOf(7, "3", "Product")), life: "4", lower: map[string]int64{"live": 5}, seal: writer.SealOf(7, "4", "Product")},
		"a call of the owner before may land":               {index: ledger(7, 5, "aa"), committed: late, lower: map[string]int64{"live": 5}, seal: writer.SealOf(7, "", "Product")},
		"it lives on":                                       {index: ledger(7, 5, "aa"), committed: places(9, 4, writer.SealOf(7, "3", "Product")), life: "3", seal: writer.SealOf(7, "3", "Product")},
		"it says nothing of its life":                       {index: ledger(7, 5, "aa"), committed: places(9, 4, writer.SealOf(7, "3", "Product")), seal: writer.SealOf(7, "3", "Product")},
		"it has said nothing of its life":                   {index: ledger(7, 5, "aa"), committed: places(9, 4, writer.SealOf(7, "", "Product")), life: "3", seal: writer.SealOf(7, "3", "Product")},
	} {
		t.Run(name, func(t *testing.T) {
			index := newFake()
			index.life = tt.life
			index.ledgers = maps.Clone(tt.index)
			_, k := kept(index, &fakeLog{}, 0)
			starts, err := k.Resume(t.Context(), map[int32]stage.Committed{0: tt.committed})
			if tt.says != "" {
				if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want one fatal line", err)
				}
				return
			}
			if err != nil || !maps.Equal(starts[0].Offsets, tt.lower) || starts[0].Seal != tt.seal {
				t.Errorf("starts at %v with the seal %q, %v", starts[0].Offsets, starts[0].Seal, err)
			}
			if l, ok := index.ledgers[0]; !ok || l.Serial == 0 {
				t.Errorf("the ledger is %+v", l)
			}
		})
	}
}

// A ledger whose first put was interrupted is there, and found by no filter: an equal one would change nothing, and the
// index count as emptied from then on.
func TestKeeper_aFirstLedgerThatWasInterruptedIsWrittenAnew(t *testing.T) {
	index := newFake()
	index.ledgers[0], index.lost = weaviate.Ledger{Serial: 1}, map[int32]bool{0: true}
	_, k := kept(index, &fakeLog{}, 0)
	start := resume(t, k, 0, places(0, 0, ""))
	keep(t, k, 0, at(1, 0), nil)
	if start.Seal != writer.SealOf(1, "", collection) || index.lost[0] {
		t.Errorf("it begins with the seal %q", start.Seal)
	}
}

// Kafka keeps 4096 bytes with an offset, of which a note without its seal takes less than 150.
func TestKeeper_sealsHundredsOfCollections(t *testing.T) {
	names := make([]string, 500)
	for i := range names {
		names[i] = fmt.Sprint("CollectionOfAVeryLongName", i)
	}
	if n := len(writer.SealOf(math.MaxInt64, "123456789", names...)); n > 4096-150 {
		t.Errorf("the seal is %d bytes long", n)
	}
}

func TestKeeper_noticesThatTheIndexGoesBackWhileItRuns(t *testing.T) {
	index := newFake()
	_, k := kept(index, &fakeLog{}, 0)
	resume(t, k, 0, places(0, 0, ""))
	backup := maps.Clone(index.ledgers)
	keep(t, k, 0, at(70, 4), nil)
	if start := keep(t, k, 0, at(90, 4), at(70, 4)); len(start.Offsets) > 0 || start.Seal != writer.SealOf(3, "", "Product") || index.ledgers[0].Fed["live"].Offset != 70 {
		t.Fatalf("starts again at %v with %q, the ledger is %v", start.Offsets, start.Seal, index.ledgers[0])
	}
	index.ledgers = backup
	start := keep(t, k, 0, at(95, 4), at(80, 4))
	if !maps.Equal(start.Offsets, at(0, 0)) || start.Seal != writer.SealOf(3, "", "Product") {
		t.Errorf("it goes on at %v with %q, want the backup's place and the old seal until that is committed", start.Offsets, start.Seal)
	}
	if start = keep(t, k, 0, at(0, 0), nil); len(start.Offsets) > 0 || start.Seal != writer.SealOf(4, "", "Product") || index.ledgers[0].Serial != 4 {
		t.Errorf("then it starts again at %v with %q", start.Offsets, start.Seal)
	}
	clear(index.ledgers)
	if _, err := k.Keep(t.Context(), 0, stage.Progress{Now: at(1, 0)}); fault.ClassOf(err) != fault.Fatal {
		t.Errorf("an emptied index gives %v", err)
	}
}

func TestKeeper_doesTheLastMinuteAgainAfterAnOutageAndComesToAnEnd(t *testing.T) {
	_, k := kept(newFake(), &fakeLog{}, 0)
	resume(t, k, 0, places(0, 0, ""))
	keep(t, k, 0, at(50, 0), at(30, 0))
	k.Fail()
	if start := keep(t, k, 0, at(60, 0), at(40, 0)); !maps.Equal(start.Offsets, map[string]int64{"live": 30}) {
		t.Errorf("after an outage it goes on at %v", start.Offsets)
	}
	k.Fail() // again and again, while the last minute is done again
	if start := keep(t, k, 0, at(40, 0), nil); len(start.Offsets) > 0 {
		t.Errorf("it begins anew at %v before it has come further", start.Offsets)
	}
	if start := keep(t, k, 0, at(90, 0), at(60, 0)); !maps.Equal(start.Offsets, map[string]int64{"live": 30}) {
		t.Errorf("the second outage, before which nothing had settled, is made good at %v", start.Offsets)
	}
	if start := keep(t, k, 0, at(95, 0), at(80, 0)); len(start.Offsets) > 0 {
		t.Errorf("with no other outage it begins anew at %v", start.Offsets)
	}
}

// The stage counts a minute back from now. An outage that lasts longer moves that past what was lost at its beginning.
func TestKeeper_doesTheMinuteBeforeALongOutageAgain(t *testing.T) {
	_, k := kept(newFake(), &fakeLog{}, 0)
	resume(t, k, 0, places(0, 0, ""))
	keep(t, k, 0, at(50, 0), at(30, 0))
	k.Fail()
	if start := keep(t, k, 0, at(60, 0), at(60, 0)); !maps.Equal(start.Offsets, map[string]int64{"live": 30}) {
		t.Errorf("after an outage of ten minutes it goes on at %v", start.Offsets)
	}
}

// Resume tries again until the index answers, and what it has not answered is an outage like any other.
func TestKeeper_anOutageIsMadeGoodAfterARebalance(t *testing.T) {
	index := newFake()
	_, k := kept(index, &fakeLog{}, 0)
	resume(t, k, 0, places(0, 0, ""))
	keep(t, k, 0, at(50, 0), at(30, 0))
	k.Fail()
	resume(t, k, 0, places(60, 0, writer.SealOf(2, "", "Product")))
	if start := keep(t, k, 0, at(60, 0), nil); !maps.Equal(start.Offsets, map[string]int64{"live": 30}) {
		t.Errorf("it goes on at %v", start.Offsets)
	}
	resume(t, k, 0, places(60, 0, writer.SealOf(2, "", "Product")))
	if start := keep(t, k, 0, at(60, 0), nil); len(start.Offsets) > 0 {
		t.Errorf("it is made good twice, from %v", start.Offsets)
	}
}

func TestHandle_stopsAtAVersionFromTheFuture(t *testing.T) {
	for name, state := range map[string]record.State{
		"row":    {Base: 1<<48 + 9, Held: []byte{1}, Sources: record.Orders{}},
		"delete": {Floor: 1<<48 + 9, Sources: record.Orders{}},
		"mark":   {Base: 1, Failed: &record.Failure{Version: 1<<48 + 9}, Sources: record.Orders{}},
		"epoch":  {Base: 2<<48 + 1, Held: []byte{1}, Sources: record.Orders{}},
	} {
		t.Run(name, func(t *testing.T) {
			index, log := newFake(), &fakeLog{end: 1<<48 + 8}
			w, _ := kept(index, log, 0)
			index.side[string(itemOf("a").Key())] = fakeObject{state: state}
			outcomes, err := w.Handle(t.Context(), batch{row("a", 1<<48+5, "lamp", 1)})
			if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "epoch raise") {
				t.Errorf("got %v, %v", result(outcomes), err)
			}
		})
	}
	index, log := newFake(), &fakeLog{end: 1<<48 + 9}
	w, _ := kept(index, log, 0)
	handle(t, w, row("a", 1<<48+9, "lamp", 1))
	handle(t, w, row("a", 1<<48+5, "lamp", 1))
	if log.asked > 0 {
		t.Errorf("the log is asked %d times for what its own records say", log.asked)
	}
	w, _ = kept(index, log, 0)
	handle(t, w, row("a", 1<<48+5, "lamp", 1))
	handle(t, w, row("a", 1<<48+4, "lamp", 1))
	if log.asked != 1 {
		t.Errorf("the log is asked %d times, want once", log.asked)
	}
}

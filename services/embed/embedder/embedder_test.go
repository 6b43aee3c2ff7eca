package embedder

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
)

func TestEachInputHasItsFate(t *testing.T) {
	const dead = "deadlettered"
	redriven := func(in Input) Input { in.Origin = record.VersionOrigin_VERSION_ORIGIN_EXPLICIT; return in }
	bulk := func(in Input) Input { in.Origin = record.VersionOrigin_VERSION_ORIGIN_STAMP; return in }
	nobody := func(d *record.Document) { d.Sources = nil }
	known := func(s record.State) map[string]record.State { return map[string]record.State{"Product/1": s} }
	pending := stored("shoe")
	pending.Held, pending.Vector = nil, nil
	otherSpace := stored("shoe")
	otherSpace.Space = "test/other/8"
	unloaded := stored("shoe")
	unloaded.Vector = nil
	buried := record.State{Floor: 9, Sources: record.Orders{}}
	cut := stored("shoe")
	cut.Truncated = true

	tests := []struct {
		name   string
		states map[string]record.State
		batch  []Input
		labels []string
		asked  []string // texts that the provider saw
	}{
		{"a new item is embedded", nil, []Input{upsert("1", "shoe", 6)}, []string{Embedded}, []string{"shoe"}},
		{"a new text is embedded", known(stored("boot")), []Input{upsert("1", "shoe", 6)}, []string{Embedded}, []string{"shoe"}},
		{"a change of price is not paid for", known(stored("shoe")), []Input{upsert("1", "shoe", 6)}, []string{Reused}, nil},
		{"by order it is embedded again", known(stored("shoe")), []Input{upsert("1", "shoe", 6, force)}, []string{Embedded}, []string{"shoe"}},
		{"a vector of another space is no use", known(otherSpace), []Input{upsert("1", "shoe", 6)}, []string{Embedded}, []string{"shoe"}},
		{"a vector that was not loaded is no use", known(unloaded), []Input{upsert("1", "shoe", 6)}, []string{Embedded}, []string{"shoe"}},
		{"a cut vector is no use where cutting is not allowed", known(cut), []Input{upsert("1", "shoe", 6, deadLetterIfLong)}, []string{Embedded}, []string{"shoe"}},
		{"a cut vector is reused where cutting is allowed", known(cut), []Input{upsert("1", "shoe", 6)}, []string{Reused}, nil},

		{"an older row is stale", known(stored("boot")), []Input{upsert("1", "shoe", 4)}, []string{Stale}, nil},
		{"a row below the floor is stale", known(buried), []Input{bulk(upsert("1", "shoe", 8, nobody))}, []string{Stale}, nil},
		{"a redelivered row that is complete is stale", known(stored("shoe")), []Input{upsert("1", "shoe", 5)}, []string{Stale}, nil},
		{"a redelivered row without its vector gets it", known(pending), []Input{upsert("1", "shoe", 5)}, []string{Embedded}, []string{"shoe"}},
		{"a late append of a source that moved on is stale", known(stored("boot")), []Input{upsert("1", "shoe", 6, order("shop", 3))}, []string{Stale}, nil},

		{"a later row supersedes", nil, []Input{upsert("1", "shoe", 6), upsert("1", "boot", 7), upsert("2", "sock", 8)}, []string{Superseded, Embedded, Embedded}, []string{"boot", "sock"}},
		{"a later delete supersedes", nil, []Input{upsert("1", "shoe", 6), remove("1", 7)}, []string{Superseded, Deleted}, nil},
		{"deletes are never dropped", nil, []Input{remove("1", 6), upsert("1", "shoe", 7), remove("1", 8), remove("1", 9)}, []string{Deleted, Superseded, Deleted, Deleted}, nil},
		{"a stale delete is not dropped", known(stored("shoe")), []Input{remove("1", 4)}, []string{Deleted}, nil},
		{"a redriven old row does not supersede", nil, []Input{upsert("1", "boot", 7), redriven(upsert("1", "shoe", 6))}, []string{Embedded, Embedded}, []string{"boot", "shoe"}},
		{"a late append does not supersede", nil, []Input{upsert("1", "boot", 6), upsert("1", "shoe", 7, order("shop", 3))}, []string{Embedded, Embedded}, []string{"boot", "shoe"}},
		{"after a late append the next row supersedes both", nil, []Input{upsert("1", "boot", 6), upsert("1", "shoe", 7, order("shop", 3)), upsert("1", "sock", 8)}, []string{Superseded, Superseded, Embedded}, []string{"sock"}},
		{"a row of another source does not supersede", nil, []Input{upsert("1", "boot", 6), upsert("1", "shoe", 7, order("http", 1))}, []string{Embedded, Embedded}, []string{"boot", "shoe"}},
		{"an order to embed again is not superseded by a row without one", nil, []Input{upsert("1", "boot", 6, force), upsert("1", "shoe", 7)}, []string{Embedded, Embedded}, []string{"boot", "shoe"}},
		{"a row between two orders to embed again is superseded", nil, []Input{upsert("1", "boot", 6, force), upsert("1", "sock", 7), upsert("1", "shoe", 8, force)}, []string{Superseded, Superseded, Embedded}, []string{"shoe"}},
		{"an order to embed again is superseded by another one", nil, []Input{upsert("1", "boot", 6, force), upsert("1", "shoe", 7, force)}, []string{Superseded, Embedded}, []string{"shoe"}},
		{"rows of other items, tenants and collections do not supersede", nil, []Input{
			upsert("1", "a", 6), upsert("1", "b", 7, func(d *record.Document) { d.Tenant = "t" }), upsert("1", "c", 8, func(d *record.Document) { d.Collection = "Shop" }),
		}, []string{Embedded, Embedded, Embedded}, []string{"a", "b", "c"}},

		{"one text of two items is paid for once", nil, []Input{upsert("1", "shoe", 6), upsert("2", "shoe", 7)}, []string{Embedded, Reused}, []string{"shoe"}},
		{"empty text is never sent", nil, []Input{upsert("1", " \n", 6)}, []string{dead}, nil},
		{"markers are skipped", nil, []Input{{Document: &record.Document{Op: record.Op_OP_MARKER}}}, []string{Skipped}, nil},
		{"marks of dead letters pass, and supersede nothing", nil, []Input{upsert("1", "shoe", 6), input(record.Op_OP_FAILED, "1", "", 7)}, []string{Embedded, Passed}, []string{"shoe"}},
		{"partial rows pass, and neither replace nor are replaced", nil, []Input{upsert("1", "shoe", 6), input(record.Op_OP_PARTIAL, "1", "", 7)}, []string{Embedded, Passed}, []string{"shoe"}},
		{"hidden rows pass, and replace", nil, []Input{upsert("1", "shoe", 6), upsert("1", "", 7, hidden)}, []string{Superseded, Passed}, nil},
		{"what write asks for is embedded", known(stored("boot")), []Input{input(record.Op_OP_COMPLETION_REQUEST, "1", "shoe", 6)}, []string{Embedded}, []string{"shoe"}},
		{"what write asks for is never dropped, nor paid for twice", known(stored("shoe")), []Input{input(record.Op_OP_COMPLETION_REQUEST, "1", "shoe", 6)}, []string{Reused}, nil},
		{"what write asks for is replaced by nothing", nil, []Input{input(record.Op_OP_COMPLETION_REQUEST, "1", "boot", 6), upsert("1", "shoe", 7)}, []string{Embedded, Embedded}, []string{"boot", "shoe"}},
		{"an op of a newer build is a dead letter", nil, []Input{input(99, "1", "", 6)}, []string{dead}, nil},
		{"nothing comes of nothing", nil, nil, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &fakeProvider{}
			out, err := newEmbedder(t, p, &fakeIndex{states: tt.states}).Handle(t.Context(), tt.batch)
			if err != nil {
				t.Fatal(err)
			}
			var labels, asked []string
			for i, o := range out {
				labels = append(labels, o.Label)
				check(t, tt.batch[i], o.Out, o.Err, o.Label)
			}
			for _, texts := range p.asked() {
				asked = append(asked, texts...)
			}
			slices.Sort(asked)
			want := slices.Sorted(slices.Values(tt.asked))
			if !slices.Equal(labels, tt.labels) || !slices.Equal(asked, want) {
				t.Errorf("labels %q and texts %q, not %q and %q", labels, asked, tt.labels, want)
			}
		})
	}
}

// check asserts what holds of every outcome: the record carries its document, version
// and, where there is one, the vector of its own text.
func check(t *testing.T, in Input, out []*record.Vector, err error, label string) {
	t.Helper()
	text := in.Document.GetText()
	for _, v := range out {
		if v.GetVersion() != in.Version || v.GetVersionOrigin() != in.Origin || v.GetDocument().Item().String() != in.Document.Item().String() {
			t.Errorf("%s: version %d of %s became %d of %s", label, in.Version, in.Document.Item(), v.GetVersion(), v.GetDocument().Item())
		}
	}
	switch label {
	case Embedded, Reused:
		v := out[0]
		if len(out) != 1 || v.GetState() != record.VectorState_VECTOR_STATE_PRESENT || v.GetSpace() != space.Name ||
			!bytes.Equal(v.GetFingerprint(), print16(text)) || !bytes.Equal(v.GetVector(), vectorOf(text)) {
			t.Errorf("%q: emitted %v", text, out)
		}
	case Deleted, Passed:
		partial := in.Document.GetOp() == record.Op_OP_PARTIAL && out[0].GetState() == record.VectorState_VECTOR_STATE_PARTIAL
		if len(out) != 1 || !partial && out[0].GetState() != record.VectorState_VECTOR_STATE_NONE || len(out[0].GetVector()) != 0 {
			t.Errorf("emitted %v", out)
		}
	case Superseded, Stale, Skipped:
		if len(out) != 0 || err != nil {
			t.Errorf("%s, and emitted %v with %v", label, out, err)
		}
	default:
		if fault.ClassOf(err) != fault.Permanent || err == nil {
			t.Errorf("dead letter with %v", err)
		}
	}
}

func TestDeadLetterOfATextLeavesItsPropertiesAndAMark(t *testing.T) {
	p := &fakeProvider{before: refuse(func(texts []string) bool { return slices.Contains(texts, "bad") })}
	e := newEmbedder(t, p, &fakeIndex{}, func(c *Config) { c.MaxBytes = 10 })
	batch := []Input{
		upsert("1", "bad", 1), upsert("2", "", 2), upsert("3", "longer than ten", 3, deadLetterIfLong), upsert("4", "good", 4),
	}
	out, err := e.Handle(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, reason := range []fault.Reason{fault.ProviderRejected, fault.MissingText, fault.Oversize} {
		if got := fault.ReasonOf(out[i].Err); got != reason {
			t.Errorf("reason %q, not %q", got, reason)
		}
		v := out[i].Out[0]
		if v.GetState() != record.VectorState_VECTOR_STATE_FAILED || v.GetFailedReason() != string(reason) || v.GetDocument() != batch[i].Document ||
			!bytes.Equal(v.GetFingerprint(), print16(batch[i].Document.GetText())) || len(v.GetVector()) != 0 {
			t.Errorf("mark is %v", v)
		}
	}
	if out[3].Label != Embedded {
		t.Errorf("the good neighbour is %s", out[3].Label)
	}
}

func TestIndexThatCannotBeAskedMakesTheStageWaitAndNothingIsPaid(t *testing.T) {
	p := &fakeProvider{}
	_, err := newEmbedder(t, p, &fakeIndex{err: errors.New("connection refused")}).Handle(t.Context(), []Input{upsert("1", "shoe", 1)})
	if err == nil || fault.ClassOf(err) != fault.Transient || len(p.asked()) != 0 {
		t.Fatalf("error %v, %d requests", err, len(p.asked()))
	}
}

func TestIndexIsAskedOnceACollection(t *testing.T) {
	x := &fakeIndex{}
	shop := func(d *record.Document) { d.Collection = "Shop" }
	_, err := newEmbedder(t, &fakeProvider{}, x).Handle(t.Context(), []Input{
		upsert("1", "a", 1), upsert("1", "b", 2, shop), upsert("2", "c", 3), upsert("2", "d", 4, shop), remove("3", 5),
	})
	slices.Sort(x.asks)
	if err != nil || !slices.Equal(x.asks, []string{"Product", "Shop"}) {
		t.Fatalf("asked %q, %v", x.asks, err)
	}
}

func TestTextThatComesAgainIsNotPaidAgain(t *testing.T) {
	p := &fakeProvider{}
	e := newEmbedder(t, p, &fakeIndex{})
	for i := range 3 {
		if _, err := e.Handle(t.Context(), []Input{upsert(strconv.Itoa(i), "shoe", int64(i+1))}); err != nil {
			t.Fatal(err)
		}
	}
	if c := e.Counts(); len(p.asked()) != 1 || c.Requests != 1 || c.Texts != 1 || c.Reused != 2 || c.ReusedTokens != 4 || c.Tokens != 2 {
		t.Errorf("%d requests, counts %+v", len(p.asked()), c)
	}
	if _, err := e.Handle(t.Context(), []Input{upsert("9", "shoe", 9, force)}); err != nil || len(p.asked()) != 2 {
		t.Errorf("by order: %d requests, %v", len(p.asked()), err)
	}
}

func TestTextThatLandedIsNotPaidAgainWhileItsBatchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		p := &fakeProvider{before: func(_ context.Context, texts []string) error {
			if slices.Contains(texts, "slow") {
				<-free
			}
			return nil
		}}
		e := newEmbedder(t, p, &fakeIndex{}, func(c *Config) { c.BatchItems = 1 })
		var first sync.WaitGroup
		first.Go(func() {
			if _, err := e.Handle(t.Context(), []Input{upsert("1", "shoe", 1), upsert("2", "slow", 2)}); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second) // shoe has landed, slow has not
		out, err := e.Handle(t.Context(), []Input{upsert("1", "shoe", 3)})
		if err != nil || out[0].Label != Reused || len(p.asked()) != 2 {
			t.Errorf("asked %q, %v", p.asked(), err)
		}
		close(free)
		first.Wait()
	})
}

func TestTextsThatAreCutToTheSameAreRememberedEachAsWhatItWas(t *testing.T) {
	p := &fakeProvider{}
	e := newEmbedder(t, p, &fakeIndex{}, func(c *Config) { c.MaxBytes = 4 })
	for version, labels := range [][]string{{Embedded, Reused}, {Reused, Reused}} {
		out, err := e.Handle(t.Context(), []Input{upsert("1", "shoe", int64(version)), upsert("2", "shoelace", int64(version))})
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out {
			if v := o.Out[0]; o.Label != labels[i] || v.GetTruncated() != (i == 1) || !bytes.Equal(v.GetVector(), vectorOf("shoe")) {
				t.Errorf("time %d: %s, %v", version, o.Label, v)
			}
		}
	}
	if len(p.asked()) != 1 {
		t.Errorf("asked %q", p.asked())
	}
}

func TestTextThatMakesTheProviderPanicIsADeadLetterAndItsNeighboursAreEmbedded(t *testing.T) {
	p := &fakeProvider{before: func(_ context.Context, texts []string) error {
		if slices.Contains(texts, "bad") {
			panic("cannot read bad")
		}
		return nil
	}}
	for _, batch := range [][]Input{{upsert("1", "bad", 1)}, {upsert("1", "shoe", 1), upsert("2", "bad", 2), upsert("3", "boot", 3)}} {
		out, err := newEmbedder(t, p, &fakeIndex{}).Handle(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out {
			if batch[i].Document.GetText() != "bad" {
				if o.Label != Embedded {
					t.Errorf("the good neighbour is %q, %v", o.Label, o.Err)
				}
				continue
			}
			if fault.ReasonOf(o.Err) != fault.Panic || strings.Contains(o.Err.Error(), "bad") {
				t.Errorf("the dead letter says %v", o.Err)
			}
		}
	}
}

func TestProviderThatPanicsOnEverythingStopsTheService(t *testing.T) {
	p := &fakeProvider{before: func(context.Context, []string) error { panic("no model") }}
	_, err := newEmbedder(t, p, &fakeIndex{}).Handle(t.Context(), []Input{upsert("1", "shoe", 1), upsert("2", "boot", 2)})
	if fault.ClassOf(err) != fault.Fatal {
		t.Fatalf("error is %v", err)
	}
}

func TestProviderThatFailsInTheMiddleIsNotPaidTwiceForTheRest(t *testing.T) {
	down := true
	p := &fakeProvider{}
	p.before = func(_ context.Context, texts []string) error {
		if down && slices.Contains(texts, "late") {
			return fault.Wait(0, "away")
		}
		return nil
	}
	e := newEmbedder(t, p, &fakeIndex{}, func(c *Config) { c.BatchItems = 1 })
	batch := []Input{upsert("1", "early", 1), upsert("2", "late", 2)}
	if _, err := e.Handle(t.Context(), batch); err == nil || fault.ClassOf(err) != fault.Transient {
		t.Fatalf("error is %v", err)
	}
	down = false
	out, err := e.Handle(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Label != Reused || out[1].Label != Embedded {
		t.Errorf("second time: %s, %s", out[0].Label, out[1].Label)
	}
}

func TestFatalErrorWinsOverATransientOne(t *testing.T) {
	p := &fakeProvider{before: func(_ context.Context, texts []string) error {
		if texts[0] == "a" {
			return fault.Wait(0, "away")
		}
		return fault.Halt("bad key")
	}}
	e := newEmbedder(t, p, &fakeIndex{}, func(c *Config) { c.BatchItems = 1 })
	_, err := e.Handle(t.Context(), []Input{upsert("1", "a", 1), upsert("2", "b", 2)})
	if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "bad key") {
		t.Fatalf("error is %v", err)
	}
}

func TestVectorsOfAnotherLengthStopTheService(t *testing.T) {
	e, err := New(&fakeProvider{}, &fakeIndex{}, Space{Name: "x", Model: "m", Dimensions: dims + 1}, settings())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Handle(t.Context(), []Input{upsert("1", "a", 1)}); fault.ClassOf(err) != fault.Fatal {
		t.Fatalf("error is %v", err)
	}
}

func TestPrefixIsSentButIsNoPartOfTheFingerprintedText(t *testing.T) {
	p := &fakeProvider{}
	s := space
	s.Prefix = "passage: "
	e, err := New(p, &fakeIndex{}, s, settings())
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Handle(t.Context(), []Input{upsert("1", "shoe", 1)})
	if err != nil || p.asked()[0][0] != "passage: shoe" || !bytes.Equal(out[0].Out[0].GetFingerprint(), print16("shoe")) {
		t.Fatalf("asked %q, %v", p.asked(), err)
	}
}

func TestWrongSettingsAreAllNamedAtOnce(t *testing.T) {
	_, err := New(nil, nil, space, Config{MaxTokens: -1, MaxBytes: -1, BatchWait: -1, CacheBytes: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range []string{"MAX_TOKENS", "MAX_BYTES", "TOKENIZER", "BATCH_ITEMS", "BATCH_TOKENS", "BATCH_BYTES", "BATCH_WAIT", "IN_FLIGHT", "CACHE_BYTES"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named", word)
		}
	}
	if _, err := New(nil, nil, Space{}, settings()); err == nil {
		t.Error("a space without a name is accepted")
	}
}

func TestCacheKeepsWhatWasUsedLastWithinItsBound(t *testing.T) {
	c := newCache(3*(4+overhead), 1)
	m := made{vector: []byte{1, 2, 3, 4}}
	for _, f := range []string{"a", "b", "c", "a"} {
		c.put([]byte(f), m)
	}
	if _, ok := c.get([]byte("b")); !ok {
		t.Error("b is gone though there was room")
	}
	c.put([]byte("d"), m)
	for f, want := range map[string]bool{"a": true, "b": true, "c": false, "d": true} {
		if _, ok := c.get([]byte(f)); ok != want {
			t.Errorf("%s is kept: %v", f, ok)
		}
	}
	none := newCache(0, 1)
	none.put([]byte("a"), m)
	if _, ok := none.get([]byte("a")); ok {
		t.Error("a cache of no size keeps things")
	}
}

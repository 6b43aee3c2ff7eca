package writer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/recipe"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/write/writer"
)

// The shop of these tests has a name and a description in the text, a price beside it, and a flag that hides.
const shopFile = `{"template":"{{name}} {{description}}","when":[{"field":"shown","eq":1}],"require":["name"],"oversize":"truncate",` +
	`"properties":[{"name":"name","type":"text"},{"name":"price","type":"int"}]}`

func shop(t *testing.T) *recipe.Recipe {
	t.Helper()
	r, err := recipe.Parse(shopFile)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func shopConfig(t *testing.T) writer.Config {
	t.Helper()
	cfg := config()
	cfg.Recipes = recipes{shop(t)}
	return cfg
}

type recipes struct{ one *recipe.Recipe }

func (r recipes) Recipe(context.Context, []byte) (*recipe.Recipe, error) { return r.one, nil }

// columns is a row of the shop; an empty value is a column that was left out.
type columns struct{ name, description, price, shown string }

func (c columns) inputs() (object []byte, unavailable []string) {
	var members []string
	for _, column := range []struct{ name, raw string }{
		{"name", fmt.Sprintf("%q", c.name)}, {"description", fmt.Sprintf("%q", c.description)}, {"price", c.price}, {"shown", c.shown},
	} {
		if column.raw == `""` || column.raw == "" {
			unavailable = append(unavailable, column.name)
			continue
		}
		members = append(members, fmt.Sprintf("%q:%s", column.name, column.raw))
	}
	return []byte("{" + strings.Join(members, ",") + "}"), unavailable
}

// change is the record of a row as it leaves embed: whole rows with their vector, others without.
func (c columns) change(t *testing.T, version int64) *record.Vector {
	t.Helper()
	inputs, unavailable := c.inputs()
	v := of(record.Op_OP_PARTIAL, "a", version)
	v.Document.Inputs, v.Document.Unavailable, v.Document.Recipe = inputs, unavailable, []byte{1}
	v.State = record.VectorState_VECTOR_STATE_PARTIAL
	if len(unavailable) > 0 {
		return v
	}
	made, err := shop(t).Make(pipeline.ParseRow(inputs))
	if err != nil {
		t.Fatal(err)
	}
	v.Document.Op, v.Document.Text, v.Document.Properties, v.Document.Hidden = record.Op_OP_UPSERT, made.Text, made.Properties, made.Hidden
	v.State = record.VectorState_VECTOR_STATE_NONE
	if !made.Hidden {
		v.State, v.Space, v.Fingerprint, v.Vector = record.VectorState_VECTOR_STATE_PRESENT, space, record.Fingerprint(space, made.Text), vectorOf(made.Text)
	}
	return v
}

// completion is what embed makes of a request.
func completion(d *record.Document, version int64) *record.Vector {
	return &record.Vector{
		Document: d, Version: version, VersionOrigin: record.VersionOrigin_VERSION_ORIGIN_LOG, Space: space,
		Fingerprint: record.Fingerprint(space, d.GetText()), Vector: vectorOf(d.GetText()), State: record.VectorState_VECTOR_STATE_PRESENT,
	}
}

// pipe is a writer between lanes that are read from where they were committed, and an embed that answers it.
type pipe struct {
	*testing.T

	index     *fakeIndex
	writer    *writer.Writer
	lanes     [2]batch // live, bulk
	committed [2]int
	paid      []string // texts of requests
	answered  bool     // whether the answers come at once, or when all else is done
	waiting   batch
	killed    int
}

// work handles one record of a lane and commits it. A kill has it handled again by another writer.
func (p *pipe) work(lane int) {
	p.Helper()
	for {
		v := p.lanes[lane][p.committed[lane]]
		outcomes, err := p.writer.Handle(p.Context(), batch{v})
		if errors.Is(err, errInterrupted) {
			p.killed++
			p.writer = writer.New(p.index, shopConfig(p.T))
			continue
		}
		if err != nil || outcomes[0].Err != nil {
			p.Fatalf("%v, %+v", err, outcomes)
		}
		for _, d := range outcomes[0].Out {
			p.paid = append(p.paid, d.GetText())
			p.waiting = append(p.waiting, completion(d, 1000+int64(len(p.paid))))
		}
		p.committed[lane]++
		if p.answered {
			p.answer()
		}
		return
	}
}

// answer lets embed answer: the completions are in the live lane before what is there already, or behind it.
func (p *pipe) answer() {
	at := p.committed[0]
	if !p.answered {
		at = len(p.lanes[0])
	}
	p.lanes[0] = slices.Insert(p.lanes[0], at, p.waiting...)
	p.waiting = nil
}

func (p *pipe) drain() {
	for done := false; !done; {
		for p.committed[0] < len(p.lanes[0]) {
			p.work(0)
		}
		for p.committed[1] < len(p.lanes[1]) {
			p.work(1)
		}
		done = len(p.waiting) == 0
		p.answer()
		done = done && p.committed[0] == len(p.lanes[0])
	}
}

// kinds of changes, in the order of a counter's digits.
const kinds = 5

// history makes changes of kinds, and what must be in the end by a model that knows only versions: each column has its
// newest value, above the last delete.
func history(t *testing.T, digits []int) (order []int, lanes [2]batch, want *columns) {
	t.Helper()
	type cell struct {
		value   string
		version int64
	}
	model, floor := map[string]cell{}, int64(0)
	set := func(version int64, name, description, price string) columns {
		for column, value := range map[string]string{"name": name, "description": description, "price": price} {
			if value != "" && version > model[column].version {
				model[column] = cell{value, version}
			}
		}
		return columns{name, description, price, "1"}
	}
	name := "n0"
	for i, kind := range digits {
		version := int64(10 * (i + 1))
		price := strconv.FormatInt(version, 10)
		lane := 0
		var v *record.Vector
		switch kind {
		case 0:
			name = fmt.Sprint("n", i+1)
			v = set(version, name, fmt.Sprint("d", i+1), price).change(t, version)
		case 1:
			name = fmt.Sprint("n", i+1)
			v = set(version, name, "", price).change(t, version)
		case 2:
			v = set(version, name, "", price).change(t, version)
		case 3:
			floor, v = version, remove("a", version)
		case 4: // a row that was read before the change before it, and comes after it
			version = max(version-15, 1)
			lane, v = 1, bulk(set(version, fmt.Sprint("b", i+1), fmt.Sprint("bd", i+1), strconv.FormatInt(version, 10)).change(t, version))
		}
		order, lanes[lane] = append(order, lane), append(lanes[lane], v)
	}
	get := func(column string) string {
		if c := model[column]; c.version > floor {
			return c.value
		}
		return ""
	}
	want = &columns{get("name"), get("description"), get("price"), "1"}
	if want.name == "" || want.description == "" || want.price == "" {
		return order, lanes, nil
	}
	return order, lanes, want
}

// TestPartial_everyShortHistoryEndsAsItsReplay tries each history of four changes of one item, with the answers of embed
// at once and at last, and a kill at each call to the index, before, in the midst of and after it.
func TestPartial_everyShortHistoryEndsAsItsReplay(t *testing.T) {
	runs, kills := 0, 0
	for code := range kinds * kinds * kinds * kinds {
		digits := []int{code % kinds, code / kinds % kinds, code / kinds / kinds % kinds, code / kinds / kinds / kinds}
		for _, answered := range []bool{false, true} {
			for at, hit := 0, true; hit; at++ {
				for _, how := range []failure{before, halfway, after} {
					order, lanes, want := history(t, digits)
					p := &pipe{T: t, index: newFake(), lanes: lanes, answered: answered}
					p.writer = writer.New(p.index, shopConfig(t))
					p.index.interrupt = func(call int) failure {
						if call == at {
							return how
						}
						return none
					}
					for _, lane := range order {
						p.work(lane)
					}
					p.drain()
					hit = p.index.writes >= at
					runs, kills = runs+1, kills+p.killed
					if wrong := p.compare(want); wrong != "" {
						t.Fatalf("changes %v, answered at once %t, failure %d of call %d: %s", digits, answered, how, at, wrong)
					}
				}
			}
		}
	}
	t.Logf("%d runs with %d kills: every end is that of the replay", runs, kills)
}

// compare says what of item "a" is not as it must be; nil is an item that is not found.
func (p *pipe) compare(want *columns) string {
	main, side := p.index.has(itemOf("a"))
	switch {
	case want == nil && main:
		return "it is found"
	case want == nil:
		return ""
	case !main || side:
		return fmt.Sprintf("in main %t, in side %t", main, side)
	}
	stored, err := p.index.Load(p.Context(), collection, []record.Item{itemOf("a")}, true)
	if err != nil {
		return err.Error()
	}
	s := &stored[0].State
	text := want.name + " " + want.description
	var price, name string
	for _, property := range s.Properties {
		switch property.GetName() {
		case "price":
			price = strconv.FormatInt(property.GetValue().GetInteger(), 10)
		case "name":
			name = property.GetValue().GetText()
		}
	}
	switch missing, _ := p.index.SelfFound(p.Context(), collection, []record.Item{itemOf("a")}, nil); {
	case s.Text != text || name != want.name || price != want.price:
		return fmt.Sprintf("text %q, name %s, price %s, want %+v", s.Text, name, price, *want)
	case !slices.Equal(s.Held, record.Fingerprint(space, text)) || cosine(s.Vector, vectorOf(text)) < 0.99999:
		return "it has another vector"
	case len(missing) > 0:
		return "its own vector does not find it"
	}
	return ""
}

// TestPartial tells what becomes of batches, one after the other, and which texts are asked for.
func TestPartial(t *testing.T) {
	full := columns{"lamp", "of brass", "10", "1"}
	price := columns{"lamp", "", "12", "1"}
	renamed := columns{"desk lamp", "", "12", "1"}
	hidden := columns{"lamp", "", "12", "0"}
	answer := func(version int64, text string) *record.Vector {
		return completion(&record.Document{Op: record.Op_OP_COMPLETION_REQUEST, Collection: collection, Id: []string{"a"}, Text: text}, version)
	}
	refusal := answer(9, "desk lamp of brass").Mark("oversize")
	foreign := answer(9, "desk lamp of brass")
	foreign.Space = "another"
	tests := map[string]struct {
		batches []batch
		labels  [][]string
		paid    []string
		want    *columns
		index   want
	}{
		"a price costs nothing and loses nothing": {
			[]batch{{full.change(t, 5)}, {price.change(t, 6)}}, [][]string{{"written"}, {"written"}}, nil, &columns{"lamp", "of brass", "12", "1"}, want{},
		},
		"a new name is embedded with the stored description": {
			[]batch{{full.change(t, 5)}, {renamed.change(t, 6)}, {answer(9, "desk lamp of brass")}},
			[][]string{{"written"}, {"written"}, {"completed"}},
			[]string{"desk lamp of brass"},
			&columns{"desk lamp", "of brass", "12", "1"},
			want{},
		},
		"both of one batch": {
			[]batch{{full.change(t, 5), renamed.change(t, 6)}, {answer(9, "desk lamp of brass")}},
			[][]string{{"superseded", "written"}, {"completed"}},
			[]string{"desk lamp of brass"},
			&columns{"desk lamp", "of brass", "12", "1"},
			want{},
		},
		"until it is answered the item is found by its old text": {
			[]batch{{full.change(t, 5)}, {renamed.change(t, 6)}},
			[][]string{{"written"}, {"written"}},
			[]string{"desk lamp of brass"},
			nil,
			want{main: true, base: 6, name: "desk lamp of brass", held: "lamp of brass"},
		},
		"one that comes before its row waits for it": {
			[]batch{{renamed.change(t, 6)}, {bulk(full.change(t, 4))}, {answer(9, "desk lamp of brass")}},
			[][]string{{"waiting"}, {"superseded"}, {"completed"}},
			[]string{"desk lamp of brass"},
			&columns{"desk lamp", "of brass", "12", "1"},
			want{},
		},
		"a row that fills in brings its own vector where it fits": {
			[]batch{{price.change(t, 6)}, {bulk(full.change(t, 4))}}, [][]string{{"waiting"}, {"superseded"}}, nil, &columns{"lamp", "of brass", "12", "1"}, want{},
		},
		"an answer to an older question is not taken": {
			[]batch{{full.change(t, 5)}, {renamed.change(t, 6)}, {columns{"floor lamp", "", "12", "1"}.change(t, 7)}, {answer(9, "desk lamp of brass"), answer(10, "floor lamp of brass")}},
			[][]string{{"written"}, {"written"}, {"written"}, {"stale", "completed"}},
			[]string{"desk lamp of brass", "floor lamp of brass"},
			&columns{"floor lamp", "of brass", "12", "1"},
			want{},
		},
		"prices that tick while the answer is under way ask for nothing": {
			[]batch{{full.change(t, 5)}, {renamed.change(t, 6)}, {columns{"desk lamp", "", "13", "1"}.change(t, 7)}, {columns{"desk lamp", "", "14", "1"}.change(t, 8)}, {answer(9, "desk lamp of brass")}},
			[][]string{{"written"}, {"written"}, {"written"}, {"written"}, {"completed"}},
			[]string{"desk lamp of brass"},
			&columns{"desk lamp", "of brass", "14", "1"},
			want{},
		},
		"there and back again is asked for again": {
			[]batch{
				{full.change(t, 5)},
				{renamed.change(t, 6)},
				{answer(7, "desk lamp of brass")},
				{columns{"lamp", "of brass", "12", "1"}.change(t, 8)},
				{columns{"desk lamp", "", "12", "1"}.change(t, 9)},
				{answer(10, "desk lamp of brass")},
			},
			[][]string{{"written"}, {"written"}, {"completed"}, {"written"}, {"written"}, {"completed"}},
			[]string{"desk lamp of brass", "desk lamp of brass"},
			&columns{"desk lamp", "of brass", "12", "1"},
			want{},
		},
		"an item that when hides is kept aside": {
			[]batch{{full.change(t, 5)}, {hidden.change(t, 6)}}, [][]string{{"written"}, {"hidden"}}, nil, nil, want{side: true, base: 6},
		},
		"a hidden item is shown again with its stored description": {
			[]batch{{full.change(t, 5)}, {hidden.change(t, 6)}, {price.change(t, 7)}, {answer(9, "lamp of brass")}},
			[][]string{{"written"}, {"hidden"}, {"waiting"}, {"completed"}},
			[]string{"lamp of brass"},
			&columns{"lamp", "of brass", "12", "1"},
			want{},
		},
		"a whole row that is hidden is kept too": {
			[]batch{{columns{"lamp", "of brass", "10", "0"}.change(t, 5)}, {price.change(t, 7)}, {answer(9, "lamp of brass")}},
			[][]string{{"hidden"}, {"waiting"}, {"completed"}},
			[]string{"lamp of brass"},
			&columns{"lamp", "of brass", "12", "1"},
			want{},
		},
		"whether it is hidden is not known before its row comes": {
			[]batch{{columns{"desk lamp", "", "12", ""}.change(t, 6)}, {bulk(columns{"lamp", "of brass", "10", "0"}.change(t, 4))}},
			[][]string{{"waiting"}, {"superseded"}},
			nil, nil,
			want{side: true, base: 6},
		},
		"a delete takes all columns, and an answer does not raise the item": {
			[]batch{{full.change(t, 5)}, {renamed.change(t, 6)}, {remove("a", 7)}, {answer(9, "desk lamp of brass")}},
			[][]string{{"written"}, {"written"}, {"deleted"}, {"stale"}},
			[]string{"desk lamp of brass"},
			nil,
			want{side: true, floor: 7},
		},
		"after a delete an old row fills nothing in": {
			[]batch{{remove("a", 5)}, {renamed.change(t, 6)}, {bulk(full.change(t, 4))}},
			[][]string{{"deleted"}, {"waiting"}, {"stale"}},
			nil, nil,
			want{side: true, base: 6, floor: 5},
		},
		"a text that cannot be embedded is not asked for with each price": {
			[]batch{{full.change(t, 5)}, {renamed.change(t, 6)}, {refusal}, {columns{"desk lamp", "", "13", "1"}.change(t, 10)}},
			[][]string{{"written"}, {"written"}, {"completed"}, {"written"}},
			[]string{"desk lamp of brass"},
			nil,
			want{main: true, base: 10, name: "desk lamp of brass", held: "lamp of brass", failed: 6},
		},
		"an answer of another space is a dead letter, and no newer change": {
			[]batch{{full.change(t, 5)}, {renamed.change(t, 6)}, {foreign}},
			[][]string{{"written"}, {"written"}, {"space-mismatch"}},
			[]string{"desk lamp of brass"},
			nil,
			want{main: true, base: 6, name: "desk lamp of brass", held: "lamp of brass", failed: 6},
		},
		"a merged row without its required name is a dead letter": {
			[]batch{{full.change(t, 5)}, {columns{" ", "", "12", "1"}.change(t, 6)}},
			[][]string{{"written"}, {"missing-text"}},
			nil, nil,
			want{main: true, base: 5, name: "lamp of brass", held: "lamp of brass", failed: 6},
		},
		"a dead letter below a price is still missing until it comes": {
			[]batch{{full.change(t, 5)}, {failed("a", 7)}, {price.change(t, 8)}},
			[][]string{{"written"}, {"marked"}, {"written"}},
			nil, nil,
			want{main: true, base: 8, name: "lamp of brass", held: "lamp of brass", failed: 7},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := &pipe{T: t, index: newFake()}
			p.writer = writer.New(p.index, shopConfig(t))
			for i, b := range test.batches {
				outcomes, err := p.writer.Handle(t.Context(), b)
				if err != nil {
					t.Fatal(err)
				}
				if got := result(outcomes); !slices.Equal(got, test.labels[i]) {
					t.Errorf("batch %d: %v, want %v", i, got, test.labels[i])
				}
				for _, o := range outcomes {
					for _, d := range o.Out {
						p.paid = append(p.paid, d.GetText())
					}
				}
			}
			if !slices.Equal(p.paid, test.paid) {
				t.Errorf("asked for %q, want %q", p.paid, test.paid)
			}
			if test.want == nil {
				checkItem(t, p.index, "a", test.index)
			} else if wrong := p.compare(test.want); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

func TestPartial_aRecipeThatIsNotPublishedYetMakesTheStageWait(t *testing.T) {
	cfg := config()
	cfg.Recipes = unpublished{}
	index := newFake()
	w := writer.New(index, cfg)
	handle(t, w, columns{"lamp", "of brass", "10", "1"}.change(t, 5))
	if outcomes, err := w.Handle(t.Context(), batch{columns{"lamp", "", "12", "1"}.change(t, 6)}); err == nil || outcomes != nil {
		t.Errorf("outcomes %v, error %v: want an error alone", outcomes, err)
	}
	checkItem(t, index, "a", want{main: true, base: 5, name: "lamp of brass", held: "lamp of brass"})
}

type unpublished struct{}

func (unpublished) Recipe(context.Context, []byte) (*recipe.Recipe, error) {
	return nil, errors.New("not published")
}

// A new row without its long text waits with the mark of its letter. A row of the bulk lane fills the text in, and the mark
// stays: the letter may be about more than that. The next whole row takes it away.
func TestPartial_aBulkRowFillsAStubThatHasALetter(t *testing.T) {
	kills := 0
	for at, hit := 0, true; hit; at++ {
		p := &pipe{T: t, index: newFake(), answered: true, lanes: [2]batch{
			{columns{name: "lamp", price: "2", shown: "1"}.change(t, 5), failed("a", 6)},
			{bulk(columns{name: "desk", description: "bright", price: "1", shown: "1"}.change(t, 4))},
		}}
		p.writer = writer.New(p.index, shopConfig(t))
		p.index.interrupt = func(call int) failure {
			if call == at {
				return halfway
			}
			return none
		}
		p.work(0)
		p.work(0)
		checkItem(t, p.index, "a", want{side: true, base: 5, failed: 6})
		p.drain()
		checkItem(t, p.index, "a", want{main: true, base: 5, name: "lamp bright", held: "lamp bright", failed: 6})
		p.lanes[0] = append(p.lanes[0], columns{name: "lamp", description: "dim", price: "2", shown: "1"}.change(t, 7))
		p.drain()
		checkItem(t, p.index, "a", want{main: true, base: 7, name: "lamp dim", held: "lamp dim"})
		hit = p.index.writes >= at
		kills += p.killed
	}
	if kills == 0 {
		t.Error("nothing was interrupted")
	}
}

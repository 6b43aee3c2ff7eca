package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
)

// selftestPipeline has each format, and a source that only HTTP writes to.
var selftestPipeline = productPipeline + fmt.Sprintf(`- name: offers
  source: {topics: [%s], format: rows, order: seq}
  collection: Offer
  id: {from: [shop, number]}
  tenant: {from: country}
  text: {template: "{{name}}", require: [name]}
  properties: [{name: number, type: int}, {name: seq, type: int}]
  when: [{field: active, eq: 1}]
- name: canal
  source: {topics: [shop.canal], format: canal}
  match: {db: shop, table: things}
  collection: Thing
  id: {from: [id]}
  text: {template: "{{name}}"}
- name: maxwell
  source: {topics: [shop.maxwell], format: maxwell}
  match: {db: shop, table: more}
  collection: Thing
  id: {from: [id]}
  text: {template: "{{name}}"}
- name: clients
  source: {topics: [shop.clients], format: rows, http: true, order: seq}
  collection: Client
  id: {from: [id]}
  text: {template: "{{name}}"}
`, offerTopic)

// TestSelftest runs `freshet selftest` against a pipeline of real services: it comes through in each format, and where it does
// not it says what keeps it up, and leaves nothing behind.
func TestSelftest(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server: not under -short")
	}
	r := newRig(t, options{brokers: startKfake(t), pipeline: selftestPipeline, partitions: 3, sourcePartitions: 3})
	a := &asker{rig: r}
	a.startAll()
	for _, pipeline := range []string{"products", "offers", "canal", "maxwell", "clients", "products"} {
		out := string(a.command("selftest", "--pipeline", pipeline, "--timeout", "2m"))
		for _, want := range []string{"that a search by its vector finds", "not found any more after", "time line", "until it was in the index"} {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
				t.Errorf("of pipeline %s it does not say %q:\n%s", pipeline, want, out)
			}
		}
	}
	a.settle(time.Minute)
	a.noCanary()

	t.Run("another reader of the topic", func(t *testing.T) {
		(&asker{rig: a.as(t)}).refused("shop.canal is read by someone-else too", "--pipeline", "canal", func(a *asker) {
			var at kadm.Offsets
			at.AddOffset("shop.canal", 0, 0, -1)
			if err := a.adm.CommitAllOffsets(t.Context(), "someone-else", at); err != nil {
				t.Fatal(err)
			}
		})
		a.command("selftest", "--pipeline", "canal", "--shared")
	})
	t.Run("records that are no plain JSON", func(t *testing.T) {
		(&asker{rig: a.as(t)}).refused("in Avro or JSON Schema", "--pipeline", "maxwell", func(a *asker) {
			a.send(&kgo.Record{Topic: "shop.maxwell", Value: []byte{0, 0, 0, 0, 7, 1}})
		})
	})
	t.Run("an item of that name that is no canary", func(t *testing.T) {
		(&asker{rig: a.as(t)}).refused("is no canary", "--pipeline", "clients", func(a *asker) {
			a.send(&kgo.Record{Topic: "shop.clients", Key: []byte(`{"id":"freshet-selftest"}`), Value: []byte(`{"id":"freshet-selftest","name":"somebody","seq":9000000000000}`)})
			a.settle(time.Minute)
		})
		a.send(&kgo.Record{Topic: "shop.clients", Key: []byte(`{"id":"freshet-selftest"}`), Value: []byte(`{"id":"freshet-selftest","seq":9000000000000,"__deleted":true}`)})
	})
	t.Run("nobody embeds", func(t *testing.T) {
		a := &asker{rig: a.as(t)}
		a.running["embed"].stop()
		delete(a.running, "embed")
		_, err := a.run("selftest", "--timeout", "10s")
		if err == nil || !strings.Contains(err.Error(), "is not found in the index: not within 10s") || !strings.Contains(err.Error(), "no embed is running") {
			t.Errorf("it says %v", err)
		}
		a.start("embed", "embed").awaitReady()
		a.settle(time.Minute)
		a.noCanary()
	})
}

// refused prepares something and runs a selftest that must not write anything because of it.
func (a *asker) refused(want, flag, pipeline string, prepare func(*asker)) {
	a.t.Helper()
	prepare(a)
	before, err := a.ends(a.t.Context(), "ingest")
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.run("selftest", flag, pipeline); err == nil || !strings.Contains(err.Error(), want) {
		a.t.Errorf("it says %v, want %q", err, want)
	}
	after, err := a.ends(a.t.Context(), "ingest")
	if err != nil {
		a.t.Fatal(err)
	}
	before.Each(func(was kadm.ListedOffset) {
		if is, _ := after.Lookup(was.Topic, was.Partition); is.Offset != was.Offset {
			a.t.Errorf("something was written to %s/%d", was.Topic, was.Partition)
		}
	})
}

// noCanary fails where the index has a canary.
func (a *asker) noCanary() {
	a.t.Helper()
	for _, item := range []record.Item{
		{Collection: collection, ID: []string{"freshet-selftest"}},
		{Collection: "Offer", Tenant: "freshet-selftest", ID: []string{"freshet-selftest", "-73537837"}},
		{Collection: "Thing", ID: []string{"freshet-selftest"}},
		{Collection: "Client", ID: []string{"freshet-selftest"}},
	} {
		s, err := a.index.Inspect(a.t.Context(), item)
		if err != nil {
			a.t.Fatal(err)
		}
		if s.State.Live() {
			a.t.Errorf("%s is left behind", item)
		}
	}
}

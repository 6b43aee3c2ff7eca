package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// offerTopic carries rows whose column seq has their order, whatever their places are.
const offerTopic = "shop.offers"

var whyPipeline = paidPipeline + fmt.Sprintf(`- name: offers
  source: {topics: [%s], format: rows, order: seq, partial: true}
  collection: Offer
  id: {from: [shop, number]}
  tenant: {from: country}
  text: {template: "{{name}}"}
  properties: [{name: name, type: text}, {name: seq, type: int}]
  when: [{field: active, ne: false}]
collections:
- {name: Offer, multiTenancy: true}
`, offerTopic)

// offerID is the id of the only offer, one of whose two parts has a + in it.
const offerID = `["a+b","7"]`

// asker asks the command `freshet why`, as it is built, about a pipeline of real services.
type asker struct {
	*rig
	provider *provider
	seq      int
	environ  []string // of the commands, above all other settings
	// registryAnswers says whether the schema registry does.
	registryAnswers *atomic.Bool
}

// startSchemas starts a schema registry that has one schema for all ids, while it answers.
func startSchemas(t *testing.T, answers *atomic.Bool) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !answers.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"schema":"\"null\""}`))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestWhy plants each situation that makes an item old, and has `freshet why` name it, told no more than the item's id.
func TestWhy(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server: not under -short")
	}
	p, answers := startProvider(t), &atomic.Bool{}
	r := newRig(t, options{
		brokers: startKfake(t), pipeline: whyPipeline, partitions: 6, sourcePartitions: 3,
		environ: append(p.environ("embed"), "FRESHET_SESSION_TIMEOUT=120s", "FRESHET_OPENAI_REQUESTS_PER_MINUTE=60000", "FRESHET_OPENAI_MAX_BACKOFF=1s", "FRESHET_WRITE_SEARCHABLE_SAMPLE=1", "FRESHET_SCHEMA_REGISTRY_URL="+startSchemas(t, answers)), // one that sleeps keeps its partitions
	})
	a := &asker{rig: r, provider: p}
	if !t.Run("nothing has run yet", func(t *testing.T) { (&asker{rig: a.as(t), provider: p}).nothingYet() }) {
		return
	}
	a.startAll()
	for id := range int64(20) {
		a.change(id, "as it was")
	}
	a.offer(1, "winter coat", true)
	a.settle(time.Minute)

	for _, situation := range []struct {
		name string
		test func(*asker)
	}{
		{"all is well", (*asker).well},
		{"never in the source topic", (*asker).neverInSource},
		{"dead letter", (*asker).deadLetter},
		{"older version refused", (*asker).olderRefused},
		{"row of a backfill refused", (*asker).bulkRefused},
		{"deleted and hidden", (*asker).deletedAndHidden},
		{"Kafka or Weaviate does not answer", (*asker).away},
		{"provider throttled", (*asker).throttled},
		{"provider away", (*asker).providerAway},
		{"registry away", (*asker).registryAway},
		{"index read-only", (*asker).readOnly},
		{"stuck partition", (*asker).stuck},
		{"the names of the metrics", (*asker).names},
		{"nobody runs a stage", (*asker).stageDown},
	} {
		passed := t.Run(situation.name, func(t *testing.T) {
			situation.test(&asker{rig: a.as(t), provider: p, seq: a.seq, registryAnswers: answers})
		})
		if a.seq += 1000; !passed {
			return // the next one would be about two things
		}
	}
}

// change sends a product's next row.
func (a *asker) change(id int64, description string) {
	a.t.Helper()
	a.seq++
	a.send(a.envelope("u", nil, &product{ID: id, Name: fmt.Sprint("product ", id), Description: description, Price: 1.5, Stock: 1, Seq: a.seq}))
}

// offer sends a row whose order is seq.
func (a *asker) offer(seq int, name string, active bool) {
	a.t.Helper()
	value, err := json.Marshal(map[string]any{"shop": "a+b", "number": 7, "country": "pe", "name": name, "seq": seq, "active": active})
	if err != nil {
		a.t.Fatal(err)
	}
	a.send(&kgo.Record{Topic: offerTopic, Key: []byte("no id"), Value: value, Partition: 0})
}

// command runs a command of freshet, and fails where it does.
func (a *asker) command(args ...string) []byte {
	a.t.Helper()
	out, err := a.run(args...)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// run returns what a command has written, also where it fails.
func (a *asker) run(args ...string) ([]byte, error) {
	a.t.Helper()
	var admins []string
	for _, p := range a.running {
		admins = append(admins, p.log.adminAddress())
	}
	cmd := exec.CommandContext(a.t.Context(), binary(a.t, "ctl"), args...)
	cmd.Env = append(slices.Clip(a.env), "HOME="+a.dir, "PATH="+os.Getenv("PATH"), "FRESHET_ADMIN_ADDRESSES="+strings.Join(admins, ","))
	cmd.Env = append(cmd.Env, a.environ...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("freshet %v: %w: %s%s", args, err, log.String(), out.String())
	}
	return out.Bytes(), nil
}

// why asks, and fails where the verdict is another one.
func (a *asker) why(want inspect.Code, args ...string) inspect.Item {
	a.t.Helper()
	args = append([]string{"why"}, args...)
	var item inspect.Item
	if err := json.Unmarshal(a.command(append(args, "-o", "json")...), &item); err != nil {
		a.t.Fatal(err)
	}
	if len(item.Causes) == 0 || item.Causes[0].Code != want {
		a.t.Errorf("freshet %v: the verdict is not %s, but %+v; asked once more:\n%s", args, want, item.Causes, a.command(args...))
	}
	return item
}

func (a *asker) status() inspect.Status {
	a.t.Helper()
	var s inspect.Status
	out, failed := a.run("status", "-o", "json")
	if err := json.Unmarshal(out, &s); err != nil {
		a.t.Fatal(errors.Join(failed, err))
	}
	ended, _ := errors.AsType[*exec.ExitError](failed)
	if hasTrouble(s, inspect.CauseUnknown) != (ended != nil && ended.ExitCode() == 3) {
		a.t.Errorf("%v: status ends with 3 where it could not ask, and only there: %+v", failed, s.Trouble)
	}
	return s
}

func hasTrouble(s inspect.Status, code inspect.Code) bool {
	for _, c := range s.Trouble {
		if c.Code == code {
			return true
		}
	}
	return false
}

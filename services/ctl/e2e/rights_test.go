package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/ctl/access"
)

// rightsPipeline has each kind of source: a topic of a producer's, one that clients write to, one that a Redis stream is
// passed on to.
var rightsPipeline = fmt.Sprintf(`apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: %d}
pipelines:
- name: products
  source: {topics: [%s], format: debezium}
  collection: %s
  id: {from: [id]}
  text: {template: "{{name}}: {{description}}", oversize: deadletter}
  properties: [{name: name, type: text}, {name: price, type: number}, {name: stock, type: int}, {name: seq, type: int}]
- name: items
  source: {topics: [shop.items], format: rows, http: true, order: seq}
  collection: Item
  id: {from: [id]}
  text: {template: "{{name}}"}
- name: notes
  source: {topics: [shop.notes], format: rows, redis: {stream: notes}}
  collection: Note
  id: {from: [id]}
  text: {template: "{{name}}"}
`, dimensions, productTopic, collection)

// seldom has the rights that this test does not come to need, and when they are.
var seldom = map[string]string{
	"write DESCRIBE group freshet-embed-bulk": "tombstones are swept after a backfill",
}

// TestRights runs the services on a broker that refuses whatever no access control list allows, each as a user of its own
// with what `freshet topics acl` prints. All must work with it, and each right must have been needed.
func TestRights(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	judged := &decisions{}
	k := localtest.Kafka(t, local.KafkaOptions{OAuth: true, Authorize: true, Log: judged})
	streams := localtest.Redis(t, local.RedisOptions{})
	ports.add(k.Brokers, k.OAuth, streams.Address)
	u := &users{oauth: k.OAuth}
	var grants []access.Grant
	r := newRig(t, options{
		brokers: k.Brokers, pipeline: rightsPipeline, partitions: 3, sourcePartitions: 1,
		environ: []string{
			"FRESHET_HTTP_ADDRESS=127.0.0.1:0", "FRESHET_HTTP_ALLOW_ANONYMOUS=true", "FRESHET_REDIS_URL=redis://" + streams.Address,
			"FRESHET_EMBED_MAX_BYTES=4000", "FRESHET_EMBED_PRICE_PER_MILLION=1", "FRESHET_EMBED_BUDGET_PER_DAY=1",
		},
		apply: func(r *rig) {
			u.rig = r
			grants = u.allow()
			u.run(access.Topics, "topics", "apply", "--partitions", "3", "--replication", "1", "--min-in-sync", "1")
		},
	})
	for _, s := range services {
		r.start(s, s, u.identity(s)...)
	}
	for _, s := range services {
		r.running[s].awaitReady()
	}
	u.change(streams.Address)
	await(t, soon, "embed reads what all replicas have paid", func() (bool, error) { return judged.used()["embed READ topic freshet.costs"], nil })
	u.run(access.Selftest, "selftest", "--timeout", "2m")
	if denied := judged.denied(); len(denied) > 0 {
		t.Errorf("refused: %s", strings.Join(denied, "\n"))
	}
	used := judged.used()
	for _, role := range []string{access.Ingest, access.Write} {
		if _, err := u.try(role, "selftest", "--pipeline", "products", "--timeout", "1m"); err == nil || !strings.Contains(err.Error(), "nothing is written: ") {
			t.Errorf("the selftest as %s, who may not write to the source topic, says %v", role, err)
		}
	}
	for _, g := range grants {
		for _, operation := range g.Operations {
			right := fmt.Sprint(g.Role, " ", operation, " ", g.Kind, " ", g.Name)
			if !used[right] && seldom[right] == "" {
				t.Errorf("nobody needed %s", right)
			}
			delete(used, right)
		}
	}
	for right := range used {
		t.Errorf("%s was used, and is not in the list", right)
	}
}

// users runs programs, each as the user of its role.
type users struct {
	*rig

	oauth string // the listener that wants to know who it is
}

// identity returns the settings by which a process is the user of a role.
func (u *users) identity(role string) []string {
	u.t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			u.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now()
	token := part(map[string]string{"alg": "none"}) + "." + part(map[string]any{"sub": role, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}) + "."
	file := filepath.Join(u.dir, role+".token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		u.t.Fatal(err)
	}
	return []string{"FRESHET_KAFKA_BROKERS=" + u.oauth, "FRESHET_KAFKA_SASL_MECHANISM=OAUTHBEARER", "FRESHET_KAFKA_SASL_OAUTH_TOKEN_FILE=" + file}
}

// run runs a command as the user of a role and returns what it printed.
func (u *users) run(role string, args ...string) []byte {
	u.t.Helper()
	out, err := u.try(role, args...)
	if err != nil {
		u.t.Fatal(err)
	}
	return out
}

// try is run that may fail.
func (u *users) try(role string, args ...string) ([]byte, error) {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), binary(u.t, "ctl"), args...)
	cmd.Env = append(slices.Clone(u.env), u.identity(role)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("freshet %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return out, nil
}

// allow gives every role the rights that the command prints.
func (u *users) allow() []access.Grant {
	u.t.Helper()
	var grants []access.Grant
	if err := json.Unmarshal(u.run(access.Topics, "topics", "acl", "-o", "json"), &grants); err != nil {
		u.t.Fatal(err)
	}
	for _, g := range grants {
		list := kadm.NewACLs().Allow("User:" + g.Role).AllowHosts("*").ResourcePatternType(kadm.ACLPatternLiteral)
		if g.Prefixed {
			list = list.ResourcePatternType(kadm.ACLPatternPrefixed)
		}
		switch g.Kind {
		case "topic":
			list = list.Topics(g.Name)
		case "group":
			list = list.Groups(g.Name)
		default:
			list = list.TransactionalIDs(g.Name)
		}
		for _, name := range g.Operations {
			operation, err := kmsg.ParseACLOperation(name)
			if err != nil {
				u.t.Fatal(err)
			}
			list = list.Operations(operation)
			made, err := u.adm.CreateACLs(u.t.Context(), list)
			if err != nil {
				u.t.Fatalf("allowing %v: %v", g, err)
			}
			for _, m := range made {
				if m.Err != nil {
					u.t.Fatalf("allowing %v: %v %s", g, m.Err, m.ErrMessage)
				}
			}
		}
	}
	return grants
}

// change brings changes of each kind: one that is embedded, one that write merges, one for the bulk lane, a dead letter of
// each stage, one over HTTP, one by Redis.
func (u *users) change(streams string) {
	u.t.Helper()
	lamp := product{ID: 1, Name: "lamp", Description: "warm light", Price: 5.0, Seq: 1}
	u.send(u.envelope("c", nil, &lamp))
	u.settle(soon)
	renamed := lamp
	renamed.Name, renamed.Description = "floor lamp", "__debezium_unavailable_value"
	long := product{ID: 3, Name: "lamp 3", Description: strings.Repeat("very ", 1000), Price: 5.0, Seq: 3}
	u.send(u.envelope("u", nil, &renamed), u.source(productKey(2), []byte("{")), u.envelope("c", nil, &long))

	said, err := os.ReadFile(u.running["ingest"].log.file.Name())
	if err != nil {
		u.t.Fatal(err)
	}
	address := regexp.MustCompile(`"taking changes over HTTP".*"address":"([^"]+)"`).FindSubmatch(said)
	if address == nil {
		u.t.Fatal("ingest takes no changes over HTTP")
	}
	body := strings.NewReader(`{"id": 1, "seq": 1, "name": "chair"}`)
	answer, err := http.Post("http://"+string(address[1])+"/v1/items", "application/x-ndjson", body)
	if err != nil {
		u.t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		u.t.Fatalf("HTTP: %s", answer.Status)
	}

	client := redis.NewClient(&redis.Options{Addr: streams})
	defer func() { _ = client.Close() }()
	if err := client.XAdd(u.t.Context(), &redis.XAddArgs{Stream: "notes", Values: map[string]any{"id": "1", "name": "note"}}).Err(); err != nil {
		u.t.Fatal(err)
	}
	// The last record of a transaction is Kafka's own, which no group finishes, so that what is left cannot be counted.
	u.found("Product", "1", "floor lamp: warm light")
	u.found("Item", "1", "chair")
	u.found("Note", "1", "note")
	await(u.t, soon, "each dead letter is there", func() (bool, error) {
		ends, err := u.adm.ListEndOffsets(u.t.Context(), u.topics.DeadLetters())
		n := int64(0)
		ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
		return n == 2, err
	})
}

// found waits until the index has an item with its text.
func (u *users) found(collection, id, text string) {
	u.t.Helper()
	await(u.t, soon, collection+" "+id+" is in the index", func() (bool, error) {
		stored, err := u.index.Load(u.t.Context(), collection, []record.Item{{Collection: collection, ID: []string{id}}}, true)
		return err == nil && stored[0].Main && stored[0].State.Live() && stored[0].State.Text == text, nil
	})
}

// decisions is the log of Kafka's authorizer.
type decisions struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (d *decisions) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(b)
}

func (d *decisions) lines(kind string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lines []string
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, kind) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// denied returns what was refused.
func (d *decisions) denied() []string { return d.lines(" is Denied operation = ") }

var matched = regexp.MustCompile(`StandardAcl\[resourceType=(\w+), resourceName=([^,]+), patternType=\w+, principal=User:(\w+), host=\*, operation=(\w+),`)

// used returns the entries of the lists that allowed something.
func (d *decisions) used() map[string]bool {
	used := map[string]bool{}
	for _, line := range d.lines(" is Allowed operation = ") {
		if m := matched.FindStringSubmatch(line); m != nil {
			kind := strings.ReplaceAll(strings.ToLower(m[1]), "_", "-")
			used[fmt.Sprint(m[3], " ", m[4], " ", kind, " ", m[2])] = true
		}
	}
	return used
}

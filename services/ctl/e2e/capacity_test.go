package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/services/embed/embedder"
)

// What TestCapacity measures with.
const (
	capacityItems      = 20_000
	capacityDimensions = 1536
	capacityBurst      = 40_000
	capacityPaced      = 116 // changes a second: 10 million a day
	capacityTarget     = 5000
	capacityPace       = 2 * time.Minute
	newTextEvery       = 5 // of the changes; the others are of a price
)

var (
	// parts are what a pipeline is made of, in the order in which a change passes them.
	parts  = []string{"ingest", "embed", "write", "Kafka", "Weaviate"}
	topics = []string{productTopic, "freshet.documents.live", "freshet.vectors.live"}
)

// capacity is a pipeline whose costs are measured: Apache Kafka, Weaviate and the services in processes of their own.
type capacity struct {
	*rig

	kafka int // its process
	dice  *rand.Rand
	seq   int
	rows  []product
	table strings.Builder
}

// usage is what the pipeline has used since it began.
type usage struct {
	cpu   map[string]float64 // seconds, by part
	bytes map[string]int64   // on Kafka's disk, by topic
}

// TestCapacity prints what an item costs in CPU time, memory, disk and tokens, and what 116 and 5,000 changes a second would take by
// that: docs/capacity.md has one run of it.
func TestCapacity(t *testing.T) {
	if os.Getenv("FRESHET_TEST_CAPACITY") == "" {
		t.Skip("takes about 8 minutes of a quiet machine: make capacity")
	}
	p := startProvider(t)
	p.dimensions = capacityDimensions
	k := startKafka(t)
	c := &capacity{kafka: k.PID(), dice: rand.New(rand.NewPCG(1, 1))} //nolint:gosec // a test's chance
	c.rig = newRig(t, options{
		brokers: k.Brokers, partitions: 12, sourcePartitions: 12, data: t.TempDir(), environ: p.environ("embed"),
		pipeline: strings.Replace(paidPipeline, fmt.Sprint("dimensions: ", dimensions), fmt.Sprint("dimensions: ", capacityDimensions), 1),
	})
	c.startAll()
	empty := c.memory("Weaviate")

	filled := c.cost("new", capacityItems, func() { c.send(made(capacityItems, c.insert)...) })
	disk := c.disk()
	memory := c.memory("Weaviate") - empty
	fast := c.cost("change", capacityBurst, func() { c.send(made(capacityBurst, c.update)...) })
	paced := c.cost("change", int(capacityPace.Seconds()*capacityPaced), c.pace)

	tokens := c.tokens()
	c.say("%d items of %d dimensions, texts of %.0f tokens; a change in %d has a new text", capacityItems, capacityDimensions, tokens, newTextEvery)
	c.say("")
	c.say("| CPU time, µs | a new item, as fast as it goes | a change, as fast as it goes | a change at %d/s |", capacityPaced)
	c.say("|---|---|---|---|")
	for _, part := range parts {
		c.say("| %s | %.0f | %.0f | %.0f |", part, micros(filled.cpu[part]), micros(fast.cpu[part]), micros(paced.cpu[part]))
	}
	c.say("")
	c.say("| bytes on Kafka's disk, one copy | a new item | a change | a change at %d/s |", capacityPaced)
	c.say("|---|---|---|---|")
	for _, topic := range topics {
		c.say("| %s | %d | %d | %d |", topic, filled.bytes[topic], fast.bytes[topic], paced.bytes[topic])
	}
	c.say("")
	c.say("| Weaviate, one copy | an item | a million |")
	c.say("|---|---|---|")
	c.say("| memory | %.1f kB | %.1f GB |", memory/1e3/capacityItems, memory/1e3/capacityItems)
	c.say("| disk | %.1f kB | %.1f GB |", disk/1e3/capacityItems, disk/1e3/capacityItems)
	c.say("")
	c.say("| | 116/s, 10 million a day | 5,000/s |")
	c.say("|---|---|---|")
	for _, part := range parts {
		c.say("| %s, cores | %.2f | %.1f |", part, paced.cpu[part]*capacityPaced, fast.cpu[part]*capacityTarget)
	}
	for _, s := range services {
		c.say("| replicas of %s of half a core each, twice what is needed | %d | %d |", s, replicas(paced.cpu[s]*capacityPaced), replicas(fast.cpu[s]*capacityTarget))
	}
	c.say("| the pipeline's topics, MB/s written, one copy | %.2f | %.1f |", paced.written()*capacityPaced/1e6, fast.written()*capacityTarget/1e6)
	day := tokens / newTextEvery * 24 * 60 * 60
	price, _ := embedder.ListPrice("text-embedding-3-small")
	c.say("| tokens a day | %.0f million | %.0f million |", day*capacityPaced/1e6, day*capacityTarget/1e6)
	c.say("| a day at text-embedding-3-small's price | %.2f USD | %.2f USD |", day*capacityPaced/1e6*price, day*capacityTarget/1e6*price)
	c.say("| memory of the services now, MB | %s | |", c.memories())
	fmt.Print(c.table.String())
}

// written returns how many bytes of the pipeline's own topics an item is.
func (u usage) written() (n float64) {
	for _, topic := range topics[1:] {
		n += float64(u.bytes[topic])
	}
	return n
}

func (c *capacity) say(format string, args ...any) { fmt.Fprintf(&c.table, format+"\n", args...) }

func micros(seconds float64) float64 { return seconds * 1e6 }

// replicas returns how many processes of half a core take twice a load.
func replicas(cores float64) int { return max(2, int(math.Ceil(2*cores/0.5))) }

// made returns n changes, each made by one.
func made(n int, one func(i int) *kgo.Record) []*kgo.Record {
	all := make([]*kgo.Record, n)
	for i := range all {
		all[i] = one(i)
	}
	return all
}

func (c *capacity) insert(i int) *kgo.Record {
	c.rows = append(c.rows, product{ID: int64(i), Name: c.words(6), Description: c.words(80), Price: 1.5, Stock: 1})
	return c.envelope("c", nil, &c.rows[i])
}

// update changes a product by chance: mostly its price.
func (c *capacity) update(int) *kgo.Record {
	c.seq++
	row := &c.rows[c.dice.IntN(len(c.rows))]
	before := *row
	row.Seq, row.Price = c.seq, float64(c.seq)+0.5
	if c.seq%newTextEvery == 0 {
		row.Description = c.words(80)
	}
	return c.envelope("u", &before, row)
}

// words returns words by chance, of six letters on average.
func (c *capacity) words(n int) string {
	all := make([]string, n)
	for i := range all {
		word := make([]byte, 3+c.dice.IntN(7))
		for j := range word {
			word[j] = byte('a' + c.dice.IntN(26)) //nolint:gosec // a letter
		}
		all[i] = string(word)
	}
	return strings.Join(all, " ")
}

// pace sends changes at a steady rate.
func (c *capacity) pace() {
	tick := time.NewTicker(time.Second / capacityPaced)
	defer tick.Stop()
	for range int(capacityPace.Seconds() * capacityPaced) {
		<-tick.C
		c.client.Produce(c.t.Context(), c.update(0), nil)
	}
	if err := c.client.Flush(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// cost returns what each of n items has cost, sent by send, once all is done.
func (c *capacity) cost(what string, n int, send func()) usage {
	c.t.Helper()
	before, began := c.usage(), time.Now()
	send()
	c.settle(20 * time.Minute)
	c.t.Logf("%d items (%s) took %s", n, what, time.Since(began).Round(time.Second))
	after := c.usage()
	for part := range after.cpu {
		after.cpu[part] = (after.cpu[part] - before.cpu[part]) / float64(n)
	}
	for topic := range after.bytes {
		after.bytes[topic] = (after.bytes[topic] - before.bytes[topic]) / int64(n)
	}
	return after
}

func (c *capacity) usage() usage {
	c.t.Helper()
	u := usage{cpu: map[string]float64{}, bytes: map[string]int64{}}
	for _, part := range parts {
		u.cpu[part] = c.stat(part).CPUTime()
	}
	dirs, err := c.adm.DescribeAllLogDirs(c.t.Context(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, topic := range topics {
		dirs.Each(func(d kadm.DescribedLogDir) {
			d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
				if p.Topic == topic {
					u.bytes[topic] += p.Size
				}
			})
		})
	}
	return u
}

// stat returns what the system knows of a part's process.
func (c *capacity) stat(part string) procfs.ProcStat {
	c.t.Helper()
	pid := map[string]int{"Kafka": c.kafka, "Weaviate": c.server.PID()}[part]
	if pid == 0 {
		pid = c.running[part].program.PID()
	}
	p, err := procfs.NewProc(pid)
	if err != nil {
		c.t.Fatal(err)
	}
	stat, err := p.Stat()
	if err != nil {
		c.t.Fatal(err)
	}
	return stat
}

// memory returns the resident bytes of a part.
func (c *capacity) memory(part string) float64 { return float64(c.stat(part).ResidentMemory()) }

func (c *capacity) memories() string {
	var all []string
	for _, s := range services {
		all = append(all, fmt.Sprintf("%s %.0f", s, c.memory(s)/1e6))
	}
	return strings.Join(all, ", ")
}

// disk returns the bytes of Weaviate's folder.
func (c *capacity) disk() (total float64) {
	c.t.Helper()
	err := filepath.WalkDir(c.data, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return skipGone(err)
		}
		info, err := d.Info()
		if err == nil {
			total += float64(info.Size())
		}
		return skipGone(err)
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return total
}

// skipGone passes over files that Weaviate has removed meanwhile.
func skipGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tokens returns how many a text was charged on average.
func (c *capacity) tokens() float64 {
	_, page := c.running["embed"].get("/metrics")
	value := func(name string) float64 {
		found := regexp.MustCompile(`(?m)^` + name + `(?:{[^}]*})? (\S+)$`).FindStringSubmatch(page)
		if len(found) == 0 {
			c.t.Fatalf("embed shows no %s", name)
		}
		n, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			c.t.Fatal(err)
		}
		return n
	}
	return value("freshet_provider_tokens_total") / value("freshet_provider_texts_total")
}

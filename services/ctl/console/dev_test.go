package console_test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/dev"
)

// output is what a program has printed so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// runDev runs `freshet dev` with a real Weaviate until the test ends, and returns the addresses of its console and its Kafka once
// the catalogue is searchable.
func runDev(t *testing.T) (console, kafka string) {
	t.Helper()
	server := localtest.Weaviate(t, local.WeaviateOptions{})
	t.Setenv("FRESHET_WEAVIATE_API_KEY", server.APIKey)
	ctx, stop := context.WithCancel(t.Context())
	data := t.TempDir() // before the clean-up below, so that it is removed after it
	var said output
	ended := make(chan error, 1)
	go func() {
		ended <- dev.Run(ctx, dev.Options{
			Data: data, Weaviate: "http://" + server.REST, WeaviateGRPC: server.GRPC,
			Provider: "hash", Dimensions: 64, Rate: 2, Out: &said, // embedding 1,330 texts by the model takes minutes under the race detector
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("freshet dev: %v", err)
		}
	})
	addresses := regexp.MustCompile(`Or look at (http://127\.0\.0\.1:\d+)\n\nKafka is at (127\.0\.0\.1:\d+),`)
	for end := time.Now().Add(2 * patience); ; time.Sleep(100 * time.Millisecond) {
		if m := addresses.FindStringSubmatch(said.String()); m != nil {
			return m[1], m[2]
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("freshet dev has ended: %v\n%s", err, said.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("freshet dev does not come up:\n%s", said.String())
		}
	}
}

func TestConsole_ofARunningDevShowsWhatBecomesOfAChange(t *testing.T) {
	url, kafka := runDev(t)
	b := open(t, url)
	b.visit("")
	b.eventually("changes come through", "parseFloat(document.querySelector('.figures dd')?.textContent) > 0")
	b.eventually("all stages are at work", "document.querySelectorAll('.flow .dots:not(.still)').length === 4")
	b.shows("ingest, write")

	b.run(chromedp.SendKeys("#find", "sleep outdoors"+kb.Enter))
	b.shows("items, the nearest first")
	b.run(chromedp.Click(".hits tbody a"))
	b.eventually("an item is shown", "document.querySelector('form.change input[name=price]') !== null")
	b.run(chromedp.SetValue("form.change input[name=price]", "4321.50"),
		chromedp.SetValue("form.change input[name=name]", "Quiet Lantern for Long Nights"), chromedp.Click("form.change button"))
	b.eventually("the change is found by a search", "/Searchable after .*: number \\d that a search .* where price = 4321.50/.test(document.querySelector('.outcome')?.textContent)")
	t.Log(ask[string](b, "document.querySelector('.outcome').textContent"))
	b.eventually("the page shows the item as it is now", "document.querySelector('h1')?.textContent === 'Quiet Lantern for Long Nights'")
	b.eventually("its time line is that of the change", "document.querySelectorAll('.hops .bar').length >= 5")
	b.eventually("no stage has it to do at last", "!document.body.innerText.includes('Where it waits')")
	b.picture("dev-item")

	b.visit("#/search?q=Quiet+Lantern&where=price%3D4321.5")
	b.shows("Quiet Lantern for Long Nights")
	b.shows("1 item, the nearest first")

	produce(t, kafka, `{"before":null,"after":{"id":1003,"name":"Ladder","price":"twelve"`)
	b.visit("#/letters")
	for !ask[bool](b, "document.querySelector('.letters summary') !== null") { // until it has come through
		b.run(chromedp.Reload())
		b.eventually("the letters are read", "document.body.innerText.includes('newest first') || document.body.innerText.includes('There are none')")
	}
	b.run(chromedp.Click(".letters summary"))
	b.shows(`"name":"Ladder","price":"twelve"`)
	b.shows("malformed")
	b.picture("dev-letters")

	b.visit("#/")
	b.shows("Product_g1")
	b.shows("1 dead letter")
	b.picture("dev-pipeline")
	if text := b.text(); strings.Contains(text, "not reached") {
		t.Errorf("something is not reached:\n%s", text)
	}
}

// produce writes a value to the source topic.
func produce(t *testing.T, broker, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: catalogue.Topic, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

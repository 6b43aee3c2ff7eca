package ingester_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/libs/telemetry"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

const lineByLine = "application/x-ndjson"

func TestHTTP_withoutAnAddressThePipelinesThatNobodyCanPostToAreNamed(t *testing.T) {
	const says = `level=WARN msg="this process takes no changes over HTTP: FRESHET_HTTP_ADDRESS is not set" pipelines="[products cdc]"`
	s := newShop(t, httpPipelines, "FRESHET_HTTP_ADDRESS=")
	log, _ := s.launch(&network{})
	s.until(says, func() bool { return strings.Contains(log.String(), says) })
}

func TestHTTP_whatIsSentBecomesDocuments(t *testing.T) {
	t.Run("kfake", func(t *testing.T) { becomesDocuments(t, newShop(t, httpPipelines)) })
	t.Run("Apache Kafka", func(t *testing.T) {
		becomesDocuments(t, newShopOn(t, localtest.Kafka(t, local.KafkaOptions{}).Brokers, httpPipelines))
	})
}

func becomesDocuments(t *testing.T, s *shopOverHTTP) {
	t.Helper()
	url, _ := s.start()
	post := func(path, body string, accepted int) {
		t.Helper()
		status, answer, _ := s.send(http.MethodPost, url+path, lineByLine, body)
		if want := fmt.Sprintf(`{"accepted":%d,"failed":0,"items":[]}`, accepted); status != http.StatusOK || answer != want {
			t.Errorf("%d %s, want %s", status, answer, want)
		}
	}
	post("/v1/items", "{\"id\":1,\"seq\":1,\"name\":\"Cup\"}\n{\"id\":\"2\",\"seq\":1,\"name\":\"Jug\"}\n{\"id\":2,\"seq\":2,\"name\":\"Can\"}\n", 3)
	post("/v1/sources/cdc/events", `{"key":{"id":7},"value":{"op":"c","before":null,"after":{"id":7,"name":"Pan"},"source":{"table":"t"}}}`, 1)
	// Its topic has several partitions, as the server knows from Kafka.
	if status, answer, _ := s.send(http.MethodPost, url+"/v1/sources/cdc/events", lineByLine, `{"op":"c","before":null,"after":{"id":7,"name":"Pan"}}`); status != http.StatusUnprocessableEntity || !strings.Contains(answer, `"id":"7","status":422,"code":"missing-id"`) {
		t.Errorf("an event without a key: %d %s", status, answer)
	}
	for _, r := range [][3]string{
		{http.MethodPut, "/v1/items/3", `{"seq":1,"name":"Pot"}`},
		{http.MethodDelete, "/v1/items/1?seq=2", ""},
	} {
		if status, answer, _ := s.send(r[0], url+r[1], "application/json", r[2]); status != http.StatusOK {
			t.Errorf("%v: %d %s", r, status, answer)
		}
	}
	s.takes("shop.items", 20_000) // as ingest does not know
	large := make([]byte, 30_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large)
	status, answer, _ := s.send(http.MethodPost, url+"/v1/items", lineByLine, fmt.Sprintf("{\"id\":4,\"seq\":1,\"name\":\"Lid\"}\n{\"id\":4,\"seq\":2,\"name\":\"%x\"}\n{\"id\":4,\"seq\":3,\"name\":\"Jar\"}", large))
	if status != http.StatusOK || !strings.HasPrefix(answer, `{"accepted":2,"failed":1,"items":[{"line":2,"id":"4","status":413,"code":"oversize",`) {
		t.Errorf("a line that Kafka refuses: %d %s", status, answer)
	}
	if got := s.items(8, "4"); !maps.Equal(got, map[string]string{"1": "", "2": "Can", "3": "Pot", "4": "Jar", "7": "Pan"}) {
		t.Errorf("items %v", got)
	}
}

// takes has a topic take so many bytes, and waits until the broker knows.
func (s *shopOverHTTP) takes(topic string, bytes int) {
	s.t.Helper()
	const probe = "probe" // altered last, so that the topic is when it is
	if _, err := kafka.CreateSources(s.t.Context(), s.client, []string{probe}, kafka.Layout{Partitions: 1, Replication: 1}); err != nil {
		s.t.Fatal(err)
	}
	for _, topic := range []string{topic, probe} {
		_, err := kadm.NewClient(s.client).AlterTopicConfigs(s.t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: new(strconv.Itoa(bytes))}}, topic)
		if err != nil {
			s.t.Fatal(err)
		}
	}
	value := make([]byte, 2*bytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value)
	s.until("the broker refuses what is larger", func() bool {
		return errors.Is(s.client.ProduceSync(s.t.Context(), &kgo.Record{Topic: probe, Value: value}).FirstErr(), kerr.MessageTooLarge)
	})
}

// As after a kill between the write and the answer: Kafka has the change, and the client does not know.
func TestHTTP_sentAgainAnOlderStateNeverWins(t *testing.T) {
	s := newShop(t, httpPipelines)
	cut := &network{}
	first, _ := s.startOn(cut)
	second, _ := s.start()
	ok := func(method, url, body string) {
		t.Helper()
		if status, answer, _ := s.send(method, url, lineByLine, body); status != http.StatusOK {
			t.Fatalf("%s: %d %s", body, status, answer)
		}
	}
	ok(http.MethodPost, first+"/v1/items", `{"id":1,"seq":0,"name":"Oldest"}`) // the client can write without an answer then
	deaf := make(chan struct{})
	hear := sync.OnceFunc(func() { close(deaf) })
	t.Cleanup(hear) // before the ingest is stopped
	cut.set(false, deaf)
	old, newer := `{"id":1,"seq":1,"name":"Old"}`, `{"id":1,"seq":2,"name":"New"}`
	ctx, giveUp := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(s.request(ctx, http.MethodPost, first+"/v1/items", lineByLine, old))
		if err == nil {
			err = errors.Join(fmt.Errorf("status %d", resp.StatusCode), resp.Body.Close())
		}
		answered <- err
	}()
	adm := kadm.NewClient(s.client)
	s.until("Kafka has it", func() bool {
		ends, err := adm.ListEndOffsets(t.Context(), "shop.items")
		n := int64(0)
		ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
		return err == nil && n == 2
	})
	giveUp()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("answered with %v before Kafka has", err)
	}
	ok(http.MethodPost, second+"/v1/items", newer)
	ok(http.MethodPost, second+"/v1/items", old)
	ok(http.MethodPost, second+"/v1/items", `{"id":2,"seq":9,"name":"Jug"}`)
	ok(http.MethodDelete, second+"/v1/items/2?seq=10", "")
	ok(http.MethodPost, second+"/v1/items", `{"id":2,"seq":9,"name":"Jug"}`)
	hear()
	if got := s.items(7); !maps.Equal(got, map[string]string{"1": "New", "2": ""}) {
		t.Errorf("items %v", got)
	}
}

func TestHTTP_goesOnWhenKafkaIsBack(t *testing.T) {
	s := newShop(t, httpPipelines, "FRESHET_HTTP_WAIT=1s")
	cut := &network{}
	url, _ := s.startOn(cut)
	cut.set(true, nil)
	for i := range 3 {
		status, answer, header := s.send(http.MethodPost, url+"/v1/items", lineByLine, fmt.Sprintf(`{"id":%d,"seq":1,"name":"Cup"}`, i))
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
			t.Errorf("%d %s %v", status, answer, header)
		}
	}
	cut.set(false, nil)
	s.until("changes are taken again", func() bool {
		status, _, _ := s.send(http.MethodPost, url+"/v1/items", lineByLine, `{"id":9,"seq":1,"name":"Cup"}`)
		return status == http.StatusOK
	})
	s.items(1, "9")
}

func TestHTTP_listensBeforeKafkaIsThereAndLosesNothing(t *testing.T) {
	s := newShop(t, httpPipelines)
	cut := &network{}
	cut.set(true, nil)
	log, _ := s.launch(cut)
	url := s.address(log, "listening to HTTP")
	row := `{"id":1,"seq":1,"name":"Cup"}`
	status, answer, header := s.send(http.MethodPost, url+"/v1/items", lineByLine, row)
	if status != http.StatusServiceUnavailable || !strings.Contains(answer, `"starting"`) || header.Get("Retry-After") != "5" {
		t.Errorf("before Kafka: %d %s %v", status, answer, header)
	}
	if status, _, _ := s.send(http.MethodGet, url+"/v1/openapi.yaml", "", ""); status != http.StatusOK {
		t.Errorf("the document: %d", status)
	}
	cut.set(false, nil)
	s.until("the client has sent it again", func() bool {
		status, _, _ := s.send(http.MethodPost, url+"/v1/items", lineByLine, row)
		return status == http.StatusOK
	})
	if got := s.items(1, "1"); !maps.Equal(got, map[string]string{"1": "Cup"}) {
		t.Errorf("items %v", got)
	}
}

func TestHTTP_wantsAPipelineThatTakesChanges(t *testing.T) {
	s := newShop(t, strings.ReplaceAll(httpPipelines, ", http: true", ""))
	tel, err := telemetry.New(t.Context(), telemetry.Config{Exporter: "none"}, "test", "test")
	if err != nil {
		t.Fatal(err)
	}
	p := &service.Process{Name: "test", Log: slog.New(slog.DiscardHandler), Telemetry: tel, Health: service.NewHealth()}
	err = ingester.Run(t.Context(), p, s.settings())
	if fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), "says source: {http: true}") {
		t.Errorf("ended with %v", err)
	}
}

// The example of the README, as a client would run it.
func TestExamples_itemsAreSentOverHTTP(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("SKIPPED, NOT TESTED: there is no curl")
	}
	file, err := os.ReadFile("../../../docs/examples/items.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t, string(file))
	url, _ := s.start()
	cmd := exec.CommandContext(t.Context(), "../../../docs/examples/items.sh")
	cmd.Env = append(os.Environ(), "SHOP="+url, "TOKEN="+token, "NO_PROXY=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `{"accepted":2,"failed":1,"items":[{"line":2,"id":"p8","status":422,"code":"field-type","message":"property price: `) {
		t.Errorf("%v\n%s", err, out)
	}
	if got := s.items(4); !maps.Equal(got, map[string]string{"p7": "", "p8": "Tunnel Tent", "p9": ""}) {
		t.Errorf("items %v\n%s", got, out)
	}
}

// Schemathesis makes requests of the OpenAPI document, right ones and wrong ones, and compares the answers with it.
func TestHTTP_keepsItsContract(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes half a minute")
	}
	python := localtest.Installed(t, "../../../scripts/install-schemathesis.sh")
	s := newShop(t, httpPipelines)
	url, _ := s.start()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	scripts, err := filepath.Abs("../../../scripts/schemathesis")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, python, "-m", "schemathesis.cli", "--config-file", filepath.Join(scripts, "schemathesis.toml"), "run", url+"/v1/openapi.yaml",
		"--header", "Authorization: Bearer "+token, "--phases", "examples,coverage,fuzzing", "--seed", "1", "--max-examples", "40",
		"--generation-database", "none", "--request-timeout", "120", "--suppress-health-check", "all", "--no-color")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS=hooks", "PYTHONPATH="+scripts, "PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Tested: 4") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out[bytes.LastIndex(out, []byte("Test cases:")):])
}

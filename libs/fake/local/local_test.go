package local_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var packages = []local.Package{
	local.WeaviatePackage, local.KafkaPackage, local.ApicurioPackage, local.PostgresPackage, local.MariaDBPackage, local.DebeziumPackage, local.RedisPackage, local.JaegerPackage,
}

// The cache is filled by scripts and read by Go: they must mean the same versions.
func TestVersions_theScriptsInstallWhatIsLookedFor(t *testing.T) {
	for _, p := range packages {
		text, err := os.ReadFile("../../../scripts/install-" + p.Script + ".sh")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "\nversion="+p.Version+"\n") {
			t.Errorf("%s does not install version %s", p.Script, p.Version)
		}
	}
}

func TestPaths_aMissingServerNamesTheCommandThatInstallsIt(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, p := range packages {
		_, err := p.Path()
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "make servers") || !strings.Contains(err.Error(), p.Title) {
			t.Errorf("%s: got %v, want an error that names `make servers`", p.Title, err)
		}
	}
}

func TestWeaviate_askForTheKeyAndKeepsDataOverAKill(t *testing.T) {
	w := localtest.Weaviate(t, local.WeaviateOptions{})
	if got := status(t, w, http.MethodGet, "/v1/schema", "", ""); got != http.StatusUnauthorized {
		t.Errorf("without the key: status %d, want 401", got)
	}
	if got := status(t, w, http.MethodPost, "/v1/schema", w.APIKey, `{"class":"Kept"}`); got != http.StatusOK {
		t.Fatalf("creating a collection: status %d, want 200", got)
	}
	for _, end := range []func() error{w.Kill, func() error { return nil }} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := w.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := status(t, w, http.MethodGet, "/v1/schema/Kept", w.APIKey, ""); got != http.StatusOK {
			t.Errorf("after a restart the collection answers %d, want 200", got)
		}
	}
}

func TestWeaviate_startsOnKeptDataWithOtherPorts(t *testing.T) {
	data := t.TempDir()
	first := localtest.Weaviate(t, local.WeaviateOptions{Data: data})
	if got := status(t, first, http.MethodPost, "/v1/schema", first.APIKey, `{"class":"Kept"}`); got != http.StatusOK {
		t.Fatalf("creating a collection: status %d, want 200", got)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := localtest.Weaviate(t, local.WeaviateOptions{Data: data})
	if got := status(t, second, http.MethodGet, "/v1/schema/Kept", second.APIKey, ""); got != http.StatusOK {
		t.Errorf("on other ports the collection answers %d, want 200", got)
	}
	if got := status(t, second, http.MethodPost, "/v1/schema", second.APIKey, `{"class":"Added"}`); got != http.StatusOK {
		t.Errorf("on other ports a new collection answers %d, want 200", got)
	}
}

func TestWeaviate_stopLeavesNoProcessPortOrFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w := localtest.Weaviate(t, local.WeaviateOptions{})
	pid := w.PID()
	assertStopsWithoutTrace(t, w, []int{pid}, w.REST, w.GRPC)
}

func TestWeaviate_aStoppedServerCannotBeRestarted(t *testing.T) {
	w := localtest.Weaviate(t, local.WeaviateOptions{})
	if err := w.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Restart(t.Context()); err == nil {
		t.Error("restarting after Stop gave no error, but its folder is gone")
	}
	if err := w.Kill(); err == nil {
		t.Error("killing after Stop gave no error")
	}
}

func TestWeaviate_aStartThatFailsSaysTheServersLastWord(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := local.WeaviatePath(); err != nil || testing.Short() {
		localtest.Weaviate(t, local.WeaviateOptions{})
	}
	_, err := local.StartWeaviate(t.Context(), local.WeaviateOptions{Env: []string{"RAFT_BOOTSTRAP_EXPECT=nonsense"}})
	if err == nil || !strings.Contains(err.Error(), "RAFT_BOOTSTRAP_EXPECT") {
		t.Errorf("got %v, want an error that names the setting", err)
	}
	assertEmpty(t, os.TempDir())
}

func TestWeaviateCluster_changesItsSchemaWhileOneOfThreeNodesIsAway(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := localtest.WeaviateCluster(t, local.WeaviateClusterOptions{})
	var pids []int
	var addresses []string
	for _, n := range c.Nodes() {
		pids, addresses = append(pids, n.PID()), append(addresses, n.REST, n.GRPC)
	}
	for i, n := range c.Nodes() { // the leader is among them
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		other, class := c.Nodes()[(i+1)%3], fmt.Sprintf("/v1/schema/Made%d", i)
		for tries := 0; status(t, other, http.MethodGet, class, other.APIKey, "") != http.StatusOK; tries++ {
			if tries == 100 {
				t.Fatal("two nodes cannot change the schema")
			}
			time.Sleep(100 * time.Millisecond) // a new leader may have to be elected
			status(t, other, http.MethodPost, "/v1/schema", other.APIKey, fmt.Sprintf(`{"class":"Made%d"}`, i))
		}
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := status(t, n, http.MethodGet, class, n.APIKey, ""); got != http.StatusOK {
			t.Errorf("the node that was away answers %d, want 200", got)
		}
		pids[i] = n.PID()
	}
	assertStopsWithoutTrace(t, c, pids, addresses...)
}

func TestKafka_keepsRecordsOverAKill(t *testing.T) {
	k := localtest.Kafka(t, local.KafkaOptions{})
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers), kgo.MetadataMinAge(250*time.Millisecond),
		kgo.ConsumeTopics("kept"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, nil, "kept"); err != nil {
		t.Fatal(err)
	}
	produce := func(value string) {
		t.Helper()
		record := &kgo.Record{Topic: "kept", Value: []byte(value)}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	produce("before")
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := k.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	produce("after")
	var got []string
	for len(got) < 2 && t.Context().Err() == nil {
		client.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	if want := "[before after]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestKafka_startsOnKeptDataWithOtherPorts(t *testing.T) {
	data := t.TempDir()
	create := func(topic string) *local.Kafka {
		t.Helper()
		k := localtest.Kafka(t, local.KafkaOptions{Data: data})
		client, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		admin := kadm.NewClient(client)
		if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
		topics, err := admin.ListTopics(t.Context())
		if err != nil || !topics.Has("first") {
			t.Errorf("topics are %v (%v), want the first one among them", topics.Names(), err)
		}
		return k
	}
	if err := create("first").Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	create("second")
}

func TestKafka_stopLeavesNoProcessPortOrFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	k := localtest.Kafka(t, local.KafkaOptions{})
	assertStopsWithoutTrace(t, k, []int{k.PID()}, k.Brokers)
}

func TestKafkaCluster_takesRecordsWhileOneOfThreeBrokersIsAway(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	k := localtest.KafkaCluster(t, local.KafkaClusterOptions{})
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(k.Brokers, ",")...), kgo.MetadataMinAge(250*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 3, nil, "kept"); err != nil {
		t.Fatal(err)
	}
	produce := func(value string) {
		t.Helper()
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "kept", Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	produce("to three")
	first := k.Nodes()[0]
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	produce("to two")
	if err := first.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	produce("to three again")
	var pids []int
	for _, n := range k.Nodes() {
		pids = append(pids, n.PID())
	}
	assertStopsWithoutTrace(t, k, pids, strings.Split(k.Brokers, ",")...)
}

func assertStopsWithoutTrace(t *testing.T, s interface{ Stop(context.Context) error }, pids []int, addresses ...string) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); pid == 0 || err != nil {
			t.Fatalf("before the stop, process %d: %v", pid, err)
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d after the stop: %v, want none", pid, err)
		}
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("after the stop: %v", err)
			continue
		}
		_ = l.Close()
	}
	assertEmpty(t, os.TempDir())
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v (%v), want nothing", left, err)
	}
}

// status returns the status of one call, with the key where there is one, and 0 where no answer comes: a call that a node
// had passed on to a leader that died then is answered never.
func status(t *testing.T, w *local.Weaviate, method, path, key, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.REST+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := (&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

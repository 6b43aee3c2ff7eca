package stagetest

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fake"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
	"github.com/freshet-io/freshet/libs/kafka"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// apache is one Apache Kafka for the whole package: a start takes as long as ten tests.
var apache localtest.SharedKafka

func run(m *testing.M) int {
	code := m.Run()
	if err := apache.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "ending Apache Kafka:", err)
		return 1
	}
	// Of a connection that was cut while it carried bytes toxiproxy leaves a goroutine behind.
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "the tests left goroutines:", err)
		return 1
	}
	return code
}

// broker is a Kafka that a world stands on.
type broker struct {
	seeds  []string
	layout kafka.Layout
	mark   string // ends the names of a world that has the broker not for itself
	slow   bool   // it fails, and its clients need long to see so
}

// eachBroker runs a test on the stand-in broker and on Apache Kafka, so that the first cannot drift from the second.
// Where FRESHET_TEST_BROKERS names a cluster, it takes the place of the second; topics and groups that the test makes
// there are removed with its end. Under -short there is only the stand-in.
func eachBroker(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("kfake", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("kafka", func(t *testing.T) { test(t, newWorldOn(t, genuine(t))) })
}

func standIn(t *testing.T) broker {
	t.Helper()
	b, err := fake.StartBroker("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return broker{seeds: strings.Split(b.Brokers(), ","), layout: kafka.Layout{Partitions: 4, Replication: 1}}
}

func genuine(t *testing.T) broker {
	t.Helper()
	if seeds := os.Getenv("FRESHET_TEST_BROKERS"); seeds != "" && !testing.Short() {
		// As many replicas as the cluster gives by itself.
		return broker{seeds: strings.Split(seeds, ","), layout: kafka.Layout{Partitions: 4, Replication: -1}, mark: mark()}
	}
	return broker{seeds: []string{apache.Get(t).Brokers}, layout: kafka.Layout{Partitions: 4, Replication: 1}, mark: mark()}
}

func mark() string { return "-" + strings.ToLower(rand.Text()[:8]) }

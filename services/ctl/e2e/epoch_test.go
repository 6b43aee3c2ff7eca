package e2e_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/record"
)

// TestEpochRaise makes the topics of the live lane anew, whose places are low again.
func TestEpochRaise(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server: not under -short")
	}
	r := newRig(t, options{brokers: startKfake(t), pipeline: productPipeline, partitions: 3, sourcePartitions: 3})
	r.startAll()
	p := product{ID: 1, Name: "lamp", Description: "old", Price: 1.0}
	for p.Seq = range 20 {
		r.send(r.envelope("c", nil, &p))
	}
	r.settle(time.Minute)
	r.freshet(1, "has 1 members: stop all services first", "epoch", "raise")
	for _, s := range services {
		r.running[s].stop()
	}
	r.freshet(0, "epoch 0 stays", "epoch", "raise")

	for _, topic := range []string{r.topics.DocumentsLive(), r.topics.VectorsLive()} {
		if _, err := r.adm.DeleteTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.topics.Apply(t.Context(), r.client, kafka.Layout{Partitions: r.partitions, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		r.refuses(s, "freshet epoch raise")
	}
	out := r.freshet(0, "the epoch is 1, it was 0", "epoch", "raise")
	for _, says := range []string{
		"collection Product_g1 belongs to the present topics, epoch 1", "collection Product_g1_side belongs to the present topics, epoch 1",
		"topic freshet.documents.live was made anew", "topic freshet.vectors.live was made anew",
	} {
		if !strings.Contains(out, says) {
			t.Errorf("it does not say %q:\n%s", says, out)
		}
	}
	r.freshet(0, "epoch 1 stays", "epoch", "raise")

	for _, s := range services {
		r.running[s].start()
	}
	p.Name, p.Description, p.Seq = "desk", "new", 20
	r.winsIn(1, p)
	r.settle(time.Minute)
	r.freshet(0, "(not-in-source)", "why", "1")

	for _, s := range services {
		r.running[s].stop()
	}
	r.freshet(0, "the epoch is 2, it was 1", "epoch", "raise", "--log-went-back")
	r.freshet(0, "(not-in-source)", "why", "1") // its record counts higher now, and is the one that the index has all the same
	for _, s := range services {
		r.running[s].start()
	}
	p.Name, p.Seq = "chair", 21
	r.winsIn(2, p)

	for _, s := range services {
		r.running[s].stop()
	}
	// All that Kafka knew of the epoch is gone: only the index still knows it.
	for _, topic := range []string{r.topics.Control(), r.topics.DocumentsLive(), r.topics.DocumentsBulk(), r.topics.VectorsLive(), r.topics.VectorsBulk()} {
		if _, err := r.adm.DeleteTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	client, err := kgo.NewClient(append(r.client.Opts(), kgo.ClientID("another"))...) // the rig's own remembers the topics' ids
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := r.topics.Apply(t.Context(), client, kafka.Layout{Partitions: r.partitions, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	r.freshet(0, "the epoch is 3, it was 0", "epoch", "raise")
	for _, s := range services {
		r.running[s].start()
	}
	p.Name, p.Seq = "shelf", 22
	r.winsIn(3, p)
}

// winsIn sends a change and waits until it is in the index, with a version of an epoch.
func (r *rig) winsIn(epoch int32, p product) {
	r.t.Helper()
	r.send(r.envelope("u", nil, &p))
	await(r.t, time.Minute, fmt.Sprint("the change has won, in epoch ", epoch), func() (bool, error) {
		for _, running := range r.running {
			if err := running.failure(); err != nil {
				return false, err
			}
		}
		stored, err := r.index.Load(r.t.Context(), collection, []record.Item{itemOf(p.ID)}, true)
		return err == nil && p.differs(stored[0]) == nil && stored[0].State.Base>>48 == int64(epoch), err
	})
}

// freshet runs the operator's command, and wants it to end with a code and to say something.
func (r *rig) freshet(code int, says string, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), binaryOf(r.t, r.build, "ctl"), args...)
	cmd.Env = r.env
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), says) {
		r.t.Fatalf("freshet %v ended with code %d and says:\n%s", args, got, out)
	}
	return string(out)
}

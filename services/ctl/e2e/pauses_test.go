package e2e_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	pausedSession = 3 * time.Second // a busy machine must not put out those who are awake
	pausedDoubt   = 10 * time.Second
	pausesEach    = 2 // of ingest and of embed
	pausesOfWrite = 3 // the first time it wakes up in its successor's doubt
)

// TestPauses has one of two instances of each service sleep through its session with a batch in flight, so that the other
// one takes its partitions over, and wake up in the midst of the batch. FRESHET_TEST_SEED is as in TestKills.
func TestPauses(t *testing.T) {
	seed := newSeed(t)
	p := plan{session: pausedSession, changes: killHot, items: killHot}
	t.Run("kfake", func(t *testing.T) {
		p.brokers = startKfake(t)
		k := newKiller(t, seed, p)
		k.allowShortSessions()
		k.pauses()
	})
	t.Run("kafka", func(t *testing.T) {
		p.brokers = startKafka(t).Brokers
		newKiller(t, seed, p).pauses()
	})
}

func (k *killer) pauses() {
	k.t.Helper()
	// Longer than usual: what must happen within it must do so on a busy machine, too.
	k.env = append(k.env, fmt.Sprint("FRESHET_WRITE_DOUBT=", pausedDoubt))
	k.startAll()
	k.produce(k.items)
	k.settle(time.Minute)
	for _, s := range services {
		k.pause(s)
	}
	// The put that is held up may be of items that are as new as they will be.
	for tries := 1; !k.pauseInPut(); tries++ {
		if tries == 3 {
			k.t.Error("no call that has landed late was seen: there was nothing to repair")
			break
		}
	}
	k.conclude()
}

// span is a time in which an item may go back: write is in doubt of what was done before.
type span struct{ from, to time.Time }

func (s span) has(t time.Time) bool { return t.After(s.from) && t.Before(s.to) }

// pause pauses one service several times, and compares the items that are changed meanwhile. The last time nothing is
// changed any more when it wakes up: what it spoils then nobody repairs.
//
// What write spoils where it wakes up in its successor's doubt, the successor repairs at the end of that. Its lease makes
// it rare: it keeps it from any call that it begins when it is awake again.
func (k *killer) pause(service string) {
	k.t.Helper()
	before := k.provider.paidAgain()
	r, pauses := k.table.add("SIGSTOP", service), pausesEach
	if service == "write" {
		pauses = pausesOfWrite
	}
	name := service + "-2"
	second, midst := k.second(service, name)
	k.awaitShared(service)
	watched := k.watch()
	stop := k.keepChanging()
	wake := func() {
		if err := second.resume(); err != nil {
			k.t.Fatal(err)
		}
		k.awaitShared(service)
	}
	var doubts []span
	for i := range pauses {
		slept, unfinished := k.sleep(service, name, second, midst)
		r.moment(k.t, unfinished)
		switch {
		case service == "write" && i == 0:
			wake()
			k.advance(service) // nothing is committed until the doubt is over
			doubts = append(doubts, span{slept, time.Now()})
		case i < pauses-1:
			k.advance(service) // its successor goes on with the same items
			wake()
		default:
			stop()
			k.settle(time.Minute)
			wake()
		}
	}
	k.settle(time.Minute)
	k.verdict(r, killHot, watched(), doubts)
	k.paid(r, before, pauses*embedInFlight*embedItems)
	second.stop()
	delete(k.running, name)
}

// pauseInPut pauses an instance of write while a call of it is under way, which no lease can hold back any more. It lands
// in the doubt of the successor, when that one has written everything and nothing is changed any more: only what it
// does once more at the end of the doubt can put it right. It reports whether there was anything to put right.
func (k *killer) pauseInPut() (seen bool) {
	k.t.Helper()
	const service, name = "write", "write-2"
	r := k.table.add("SIGSTOP in put", service)
	tap := startTap(k.t, k.grpc)
	second := k.start(service, name, "FRESHET_KAFKA_CLIENT_ID="+name, "FRESHET_WEAVIATE_GRPC="+tap.address)
	k.awaitShared(service)
	watched := k.watch()
	k.changed = nil
	stop := k.keepChanging()
	own, err := k.partitions(service, name)
	if err != nil {
		k.t.Fatal(err)
	}
	land, landed := make(chan struct{}), make(chan error, 1)
	slept, err := pauseAt(second, func(pause func()) {
		tap.atNextPut(func() {
			pause()
			select {
			case <-land:
			case <-k.t.Context().Done(): // the test has failed
			}
		}, func(err error) { landed <- err })
	})
	if err != nil {
		k.t.Fatal(err)
	}
	ends, err := k.ends(k.t.Context(), service)
	if err != nil {
		k.t.Fatal(err)
	}
	unfinished, err := k.behind(k.t.Context(), service, within(ends, own))
	if err != nil {
		k.t.Fatal(err)
	}
	k.awaitOut(service, name)
	r.moment(k.t, unfinished)
	stop()
	k.awaitIndex()
	close(land)
	if err := <-landed; err != nil {
		k.t.Fatalf("the call that lands late: %v", err)
	}
	if n, err := k.unfinished(service); err != nil || n == 0 {
		k.t.Errorf("%d records are in doubt (%v): the call has landed too late, and nothing is tested", n, err)
	}
	if err := second.resume(); err != nil {
		k.t.Fatal(err)
	}
	k.settle(time.Minute)
	k.verdict(r, killHot, watched(), []span{{slept, time.Now()}})
	second.stop()
	delete(k.running, name)
	return r.back > 0
}

// second starts a second instance of a service. midst calls its argument once, at a moment when that instance is in the
// midst of a batch.
func (k *killer) second(service, name string) (p *process, midst func(func())) {
	k.t.Helper()
	environ := []string{"FRESHET_KAFKA_CLIENT_ID=" + name}
	switch service {
	case "embed": // has asked the provider, and is not answered
		environ = append(environ, k.provider.environ(name)...)
		midst = func(f func()) { k.provider.atNextRequest(name, f) }
	case "write": // knows what the index has, and has not put what follows from it
		tap := startTap(k.t, k.grpc)
		environ = append(environ, "FRESHET_WEAVIATE_GRPC="+tap.address)
		midst = tap.atNextLoad
	default:
		midst = func(f func()) { f() }
	}
	return k.start(service, name, environ...), midst
}

// awaitShared waits until both instances of a service have partitions.
func (k *killer) awaitShared(service string) {
	k.t.Helper()
	await(k.t, time.Minute, "both instances of "+service+" have partitions", func() (bool, error) {
		for _, p := range k.running {
			if err := p.failure(); err != nil {
				return false, err
			}
		}
		return (&path{rig: k.rig}).shared(service)
	})
}

// sleep pauses the instance in the midst of a batch, and returns when Kafka has put it out of its group, with the moment
// and the number of records that it had not finished.
func (k *killer) sleep(service, name string, p *process, midst func(func())) (slept time.Time, unfinished int64) {
	k.t.Helper()
	own, err := k.partitions(service, name)
	if err != nil {
		k.t.Fatal(err)
	}
	await(k.t, time.Minute, name+" is in the midst of a batch", func() (bool, error) {
		ends, err := k.ends(k.t.Context(), service)
		if err != nil {
			return false, err
		}
		if slept, err = pauseAt(p, midst); err != nil {
			return false, err
		}
		if unfinished, err = k.behind(k.t.Context(), service, within(ends, own)); err != nil || unfinished > 0 {
			return err == nil, err
		}
		return false, p.resume() // it was between two batches
	})
	k.awaitOut(service, name)
	return slept, unfinished
}

// pauseAt pauses a process at the moment at which midst calls its argument.
func pauseAt(p *process, midst func(func())) (time.Time, error) {
	paused := make(chan error, 1)
	midst(func() { paused <- p.pause() })
	select {
	case err := <-paused:
		return time.Now(), err
	case <-time.After(30 * time.Second):
		return time.Time{}, errors.New("no batch came")
	}
}

// awaitOut waits until Kafka has put an instance out of its group.
func (k *killer) awaitOut(service, name string) {
	k.t.Helper()
	await(k.t, time.Minute, name+" is put out of its group", func() (bool, error) {
		left, err := k.partitions(service, name)
		return len(left) == 0, err
	})
}

func within(ends kadm.ListedOffsets, partitions kadm.TopicsSet) kadm.ListedOffsets {
	kept := kadm.ListedOffsets{}
	ends.Each(func(o kadm.ListedOffset) {
		if partitions.Lookup(o.Topic, o.Partition) {
			if kept[o.Topic] == nil {
				kept[o.Topic] = map[int32]kadm.ListedOffset{}
			}
			kept[o.Topic][o.Partition] = o
		}
	})
	return kept
}

// partitions returns what an instance of a service has of its group's topics.
func (k *killer) partitions(service, name string) (kadm.TopicsSet, error) {
	group, _ := k.group(service)
	described, err := k.adm.DescribeGroups(k.t.Context(), group)
	if err := errors.Join(err, described.Error()); err != nil {
		return nil, err
	}
	own := kadm.TopicsSet{}
	for _, m := range described[group].Members {
		if assigned, ok := m.Assigned.AsConsumer(); ok && m.ClientID == name {
			for _, t := range assigned.Topics {
				own.Add(t.Topic, t.Partitions...)
			}
		}
	}
	return own, nil
}

// advance waits until a service has finished all that was there when it was called.
func (k *killer) advance(service string) {
	k.t.Helper()
	ends, err := k.ends(k.t.Context(), service)
	if err != nil {
		k.t.Fatal(err)
	}
	await(k.t, time.Minute, service+" goes on", func() (bool, error) {
		n, err := k.behind(k.t.Context(), service, ends)
		return n == 0, err
	})
}

// keepChanging changes the hot items one after the other until stop.
func (k *killer) keepChanging() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			for range 10 {
				k.change(int64(k.dice.IntN(killHot) + 1))
			}
			select {
			case <-tick.C:
			case <-end:
				return
			case <-k.t.Context().Done(): // the test has failed
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		if err := k.client.Flush(k.t.Context()); err != nil {
			k.t.Fatal(err)
		}
	}
}

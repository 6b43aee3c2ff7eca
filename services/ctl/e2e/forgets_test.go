package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
)

// forgetful is a pipeline whose index forgets.
type forgetful struct {
	*rig
	now  map[int64]product // as the source has them
	gone []int64
	seq  int
}

// TestForgets has the index lose what it had, in the ways that there are, while Kafka's offsets stand.
func TestForgets(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server: not under -short")
	}
	data := t.TempDir()
	f := &forgetful{now: map[int64]product{}}
	f.rig = newRig(t, options{
		brokers: startKfake(t), pipeline: productPipeline, partitions: 3, sourcePartitions: 3, data: filepath.Join(data, "weaviate"),
	})
	f.startAll()
	f.changes(0, 60)
	f.settle(time.Minute)
	first := f.awaitLedgers(nil)
	f.whileDown(func() error { return os.CopyFS(filepath.Join(data, "backup"), os.DirFS(f.data)) })

	f.changes(30, 90)
	f.remove(0, 10)
	f.settle(time.Minute)
	f.awaitLedgers(first) // Kafka knows of newer ones than the copy has
	f.running["write"].stop()
	f.restore(filepath.Join(data, "backup"))
	f.running["write"].start()
	f.awaitAllRight("a copy was restored while write was stopped")

	f.changes(20, 40)
	f.settle(time.Minute)
	f.restore(filepath.Join(data, "backup"))
	f.awaitAllRight("a copy was restored while write ran")

	f.running["write"].stop()
	f.emptied()
}

// changes makes rows of the ids from a to b, new ones or newer ones.
func (f *forgetful) changes(a, b int64) {
	for id := a; id < b; id++ {
		f.seq++
		p := product{ID: id, Name: fmt.Sprintf("product %d, change %d", id, f.seq), Description: "as good as new", Price: float64(f.seq), Seq: f.seq}
		f.now[id] = p
		f.send(f.envelope("c", nil, &p))
	}
}

func (f *forgetful) remove(a, b int64) {
	for id := a; id < b; id++ {
		p := f.now[id]
		f.send(f.envelope("d", &p, nil))
		delete(f.now, id)
		f.gone = append(f.gone, id)
	}
}

// awaitLedgers waits until the ledger of every partition is newer than before, and returns them.
func (f *forgetful) awaitLedgers(before map[int32]weaviate.Ledger) (ledgers map[int32]weaviate.Ledger) {
	f.t.Helper()
	await(f.t, time.Minute, "the ledgers are written", func() (newer bool, err error) {
		if ledgers, err = f.index.Ledgers(f.t.Context(), collection, []int32{0, 1, 2}); err != nil {
			return false, err
		}
		for p := range f.partitions {
			if ledgers[p].Serial <= before[p].Serial {
				return false, nil
			}
		}
		return true, nil
	})
	return ledgers
}

// whileDown does something while Weaviate does not run.
func (f *forgetful) whileDown(do func() error) {
	f.t.Helper()
	if err := f.server.Kill(); err != nil {
		f.t.Fatal(err)
	}
	if err := do(); err != nil {
		f.t.Fatal(err)
	}
	if err := f.server.Restart(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func (f *forgetful) restore(backup string) {
	f.t.Helper()
	f.whileDown(func() error {
		if err := os.RemoveAll(f.data); err != nil {
			return err
		}
		return os.CopyFS(f.data, os.DirFS(backup))
	})
}

// awaitAllRight waits until the index has every item as the source has it, and finds each by its own vector.
func (f *forgetful) awaitAllRight(when string) {
	f.t.Helper()
	var items, deleted []record.Item
	var want []product
	for id, p := range f.now {
		items, want = append(items, itemOf(id)), append(want, p)
	}
	for _, id := range f.gone {
		deleted = append(deleted, itemOf(id))
	}
	state := ""
	defer func() {
		if f.t.Failed() {
			f.t.Log(state)
		}
	}()
	await(f.t, time.Minute, "all is right after "+when, func() (bool, error) {
		if err := f.running["write"].failure(); err != nil {
			return false, err
		}
		stored, err := f.index.Load(f.t.Context(), collection, items, true)
		if err != nil {
			state = err.Error()
			return false, nil //nolint:nilerr // the server comes back
		}
		for i, s := range stored {
			if err := want[i].differs(s); err != nil {
				state = fmt.Sprintf("item %s: %v", items[i], err)
				return false, nil
			}
		}
		ghosts, err := f.index.Load(f.t.Context(), collection, deleted, false)
		if err != nil {
			return false, err
		}
		for i, s := range ghosts {
			if s.Main || s.State.Floor == 0 {
				state = fmt.Sprintf("item %s is there again", deleted[i])
				return false, nil
			}
		}
		missing, err := f.index.SelfFound(f.t.Context(), collection, items, nil)
		state = fmt.Sprintf("%d items are not found by their own vector", len(missing))
		return len(missing) == 0, err
	})
}

// emptied starts write on an empty volume, on which `freshet topics apply` has made the collections.
func (f *forgetful) emptied() {
	f.t.Helper()
	f.whileDown(func() error { return errors.Join(os.RemoveAll(f.data), os.Mkdir(f.data, 0o700)) })
	identity, err := f.topics.Check(f.t.Context(), f.client)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.index.CreateAll(f.t.Context(), f.file, identity); err != nil {
		f.t.Fatal(err)
	}
	f.refuses("write", "the index was emptied")
}

// refuses starts a service and waits until it stops, with a line that says why.
func (r *rig) refuses(service, why string) {
	r.t.Helper()
	p := r.running[service]
	p.start()
	await(r.t, time.Minute, service+" stops", func() (bool, error) { return p.failure() != nil, nil })
	if says := p.log.tail(3); !strings.Contains(says, why) || !strings.Contains(says, "fatal") {
		r.t.Errorf("%s ended and says: %s", service, says)
	}
	p.program.Kill() // it has ended, and not well: no failure of the test's
	p.program = nil
}

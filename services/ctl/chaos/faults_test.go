package chaos

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// mostOf is how many members a service has at most.
const mostOf = 3

// suffer has one fault happen at its time, and heals it.
func (w *world) suffer(ctx context.Context, n int, f fault) {
	if wait(ctx, f.at-w.now()) != nil {
		return
	}
	r := rand.New(rand.NewPCG(w.plan.seed, 100+uint64(n))) //nolint:gosec // repeatable, on purpose
	var did bool
	switch f.kind {
	case kill:
		did = w.killOne(ctx, r, f)
	case freeze:
		did = w.freezeOne(ctx, r, f)
	case join:
		did = w.joinOne(f)
	case leave:
		did = w.stopOne(ctx, r, f)
	case outage:
		did = w.disconnect(ctx, f)
	case refuse:
		did = w.refuse(ctx, r, f, w.topics.DocumentsLive(), w.topics.VectorsLive())
	case letters:
		did = w.refuse(ctx, r, f, w.topics.DeadLetters())
	case slow, throttled, failing, hanging, unwritten, lingering, kinds:
		w.trouble.add(f.kind, 1)
		_ = wait(ctx, f.lasts)
		w.trouble.add(f.kind, -1)
		did = true
	}
	if did {
		w.mu.Lock()
		w.did[f.kind]++
		w.mu.Unlock()
	}
}

// pick returns a living member of a service, nil where there is none.
func (w *world) pick(r *rand.Rand, service string) *process {
	if list := w.of(service); len(list) > 0 {
		return list[r.IntN(len(list))]
	}
	return nil
}

func (w *world) killOne(ctx context.Context, r *rand.Rand, f fault) bool {
	p := w.pick(r, f.of)
	if p == nil {
		return false
	}
	w.mu.Lock()
	for i, m := range w.members {
		if m == p {
			w.members = append(w.members[:i:i], w.members[i+1:]...)
			break
		}
	}
	p.kill()
	w.killed = append(w.killed, p)
	w.expire(p)
	w.mu.Unlock()
	_ = wait(ctx, f.lasts)
	w.launch(f.of)
	return true
}

func (w *world) freezeOne(ctx context.Context, r *rand.Rand, f fault) bool {
	p := w.pick(r, f.of)
	if p == nil {
		return false
	}
	if p.service == "write" && r.IntN(2) == 0 {
		select {
		case <-p.gate.trap():
		case <-time.After(busy / 4): // it has nothing to write
		case <-ctx.Done():
		}
	}
	w.frozen(p, +1)
	p.gate.freeze()
	_ = wait(ctx, f.lasts)
	w.frozen(p, -1)
	return true
}

// frozen counts the reasons for which a process stands still.
func (w *world) frozen(p *process, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.frozen += n; p.frozen == 0 {
		p.host.Thaw()
		p.gate.thaw()
		return
	}
	p.host.Freeze()
}

func (w *world) joinOne(f fault) bool {
	if len(w.of(f.of)) >= mostOf {
		return false
	}
	w.launch(f.of)
	return true
}

func (w *world) stopOne(ctx context.Context, r *rand.Rand, f fault) bool {
	p := w.pick(r, f.of)
	if p == nil {
		return false
	}
	w.halt(ctx, p)
	_ = wait(ctx, f.lasts)
	w.launch(f.of)
	return true
}

// halt tells a process to stop, and sees to it that it does in time.
func (w *world) halt(ctx context.Context, p *process) {
	w.mu.Lock()
	p.stopped = true
	w.mu.Unlock()
	since := w.now()
	p.stop()
	for left := stopBound; left > 0; left -= time.Second {
		select {
		case <-p.done:
			return
		default:
		}
		if wait(ctx, time.Second) != nil {
			return
		}
		if w.standsStill(p) {
			left = stopBound
		}
	}
	w.dump()
	w.report("stops", "%s was told to stop at %s and still runs at %s", p.name, since, w.now())
}

// standsStill reports whether a process cannot do anything.
func (w *world) standsStill(p *process) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return p.frozen > 0 || p.killed
}

// disconnect has the broker out of everybody's reach.
func (w *world) disconnect(ctx context.Context, f fault) bool {
	w.mu.Lock()
	w.outages++
	for _, p := range w.members {
		p.host.Disconnect()
	}
	w.mu.Unlock()
	_ = wait(ctx, f.lasts)
	w.mu.Lock()
	w.outages--
	if w.outages == 0 {
		for _, p := range w.members {
			p.host.Connect()
		}
	}
	w.mu.Unlock()
	return true
}

// refuse has the broker refuse what is produced: with errors that the client tries again,
// some of them after it did append, and with ones that it hands to the stage.
func (w *world) refuse(ctx context.Context, r *rand.Rand, f fault, topics ...string) bool {
	errs := []*kerr.Error{kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.UnknownServerError, kerr.InvalidRecord}
	count := 1 + r.IntN(6)
	if topics[0] == w.topics.DeadLetters() {
		errs = []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.NotEnoughReplicas}
		count = -1
	}
	var handles []*kfake.FaultHandle
	for _, topic := range topics {
		fault := kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: errs[r.IntN(len(errs))], Count: count}
		if count > 0 {
			fault.Partitions = []int32{r.Int32N(w.plan.partitions)}
		}
		handles = append(handles, w.cluster.Fault(fault))
	}
	_ = wait(ctx, f.lasts)
	for _, h := range handles {
		h.Remove()
	}
	return true
}

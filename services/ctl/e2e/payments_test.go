package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
)

const (
	// A machine that is busy must neither put embed out of its group nor have a request that is held time out: what is
	// under way then would be asked for once more.
	paymentSession = 4 * time.Second
	paymentTimeout = "FRESHET_OPENAI_TIMEOUT=10m"
	paymentTotal   = "FRESHET_OPENAI_TOTAL_TIMEOUT=20m"
	paymentBound   = 3 * time.Minute // of waiting for anything; it only bounds a failure
)

// TestAKillOfEmbedCostsAtMostWhatWasInFlight kills embed twenty times, at moments that the
// provider gives: it has read a request, half of an answer is sent, or one is answered while
// another is not. Nothing depends on how fast anything is.
//
// In flight is what was paid for and had not left embed when it died. A process that is killed
// knows nothing any more, so that is what the next one may pay again; all else it must find in
// the index. FRESHET_TEST_SEED repeats bursts and moments.
func TestAKillOfEmbedCostsAtMostWhatWasInFlight(t *testing.T) {
	seed := newSeed(t)
	p := startProvider(t)
	r := newRig(t, options{
		brokers: startKfake(t), pipeline: paidPipeline, partitions: 6, sourcePartitions: 3,
		environ: append(p.environ("embed"), paymentTimeout, paymentTotal, fmt.Sprint("FRESHET_SESSION_TIMEOUT=", paymentSession),
			fmt.Sprint("FRESHET_EMBED_IN_FLIGHT=", embedInFlight), fmt.Sprint("FRESHET_EMBED_BATCH_ITEMS=", embedItems)),
	})
	(&killer{rig: r}).allowShortSessions()
	r.startAll()
	b := &bill{rig: r, provider: p, dice: rand.New(rand.NewPCG(seed, 3))} //nolint:gosec // a test's chance
	b.table.WriteString("kill  at        requests unanswered  texts, of which in flight  tokens: in flight  paid again")
	for kill := range killsEach {
		b.kill(kill)
	}
	t.Log(b.table.String())
	t.Logf("%d tokens of %d texts; %d in flight at %d kills; %d paid again", b.unique, b.texts, b.inFlight, killsEach, b.again)
	if b.paid() != b.unique+b.again {
		t.Errorf("%d tokens were paid: %d for the texts once, and %d again", b.paid(), b.unique, b.again)
	}
}

// bill is what was paid, and what had to be.
type bill struct {
	*rig

	provider *provider
	dice     *rand.Rand
	table    strings.Builder
	texts    int

	unique, inFlight, again int // tokens
}

func tokensOf(text string) int { return len(text)/4 + 1 }

// paid returns how many tokens the provider was paid.
func (b *bill) paid() (tokens int) {
	b.provider.mu.Lock()
	defer b.provider.mu.Unlock()
	for text, n := range b.provider.paid {
		tokens += n * tokensOf(text)
	}
	return tokens
}

// kill sends new items, kills embed in the midst of them, and adds up what that has cost.
func (b *bill) kill(number int) {
	b.t.Helper()
	embed := b.running["embed"]
	embed.awaitReady()
	s := &strike{at: []point{asked, half, answered}[number%3], nth: 1 + b.dice.IntN(3), kill: embed.kill, done: make(chan struct{})}
	b.provider.watch(s.reach)
	// Five requests at least, however they are divided.
	rows := b.burst(5*embedItems + b.dice.IntN(embedItems))
	select {
	case <-s.done:
	case <-time.After(paymentBound):
		b.t.Fatalf("kill %d: the moment never came: %s", number+1, embed.log.tail(3))
	}
	b.provider.watch(nil)
	b.awaitDone("write")
	lost := b.missing(rows)
	inFlight := 0
	mayPay := map[string]bool{}
	for _, row := range lost {
		if b.provider.times(row.text()) > 0 {
			mayPay[row.text()] = true
			inFlight += tokensOf(row.text())
		}
	}
	if s.open == 0 || inFlight == 0 {
		b.t.Errorf("kill %d: %d requests and %d tokens were in flight: nothing was killed", number+1, s.open, inFlight)
	}
	embed.start()
	await(b.t, paymentBound, "the index has all items", func() (bool, error) {
		return len(b.missing(rows)) == 0, embed.failure()
	})
	// A process that is killed thrice before it has committed anything is taken for one that a record kills.
	b.awaitDone("embed")
	b.add(number, s, rows, mayPay, inFlight)
}

// add adds a kill to the bill.
func (b *bill) add(number int, s *strike, rows []*product, mayPay map[string]bool, inFlight int) {
	b.t.Helper()
	again := 0
	for _, row := range rows {
		times := b.provider.times(row.text())
		b.unique += tokensOf(row.text())
		again += (times - 1) * tokensOf(row.text())
		if times > 2 || times == 2 && !mayPay[row.text()] {
			b.t.Errorf("kill %d: item %d was paid for %d times, and in flight: %t", number+1, row.ID, times, mayPay[row.text()])
		}
	}
	if again > inFlight {
		b.t.Errorf("kill %d: %d tokens were paid again, and %d were in flight", number+1, again, inFlight)
	}
	b.inFlight, b.again = b.inFlight+inFlight, b.again+again
	fmt.Fprintf(&b.table, "\n%4d  %-8s  %19d  %25s  %17d  %10d", number+1, s.at, s.open, fmt.Sprintf("%d, %d", len(rows), len(mayPay)), inFlight, again)
}

// burst sends so many new items.
func (b *bill) burst(n int) []*product {
	b.t.Helper()
	rows := make([]*product, n)
	records := make([]*kgo.Record, n)
	for i := range rows {
		b.texts++
		rows[i] = &product{ID: int64(b.texts), Seq: b.texts, Price: 1.5, Name: fmt.Sprint("item ", b.texts), Description: "a" + strings.Repeat(" word", b.dice.IntN(40))}
		records[i] = b.envelope("c", nil, rows[i])
	}
	b.send(records...)
	return rows
}

// awaitDone waits until a service has finished and committed all that it has to read.
func (b *bill) awaitDone(service string) {
	b.t.Helper()
	await(b.t, paymentBound, service+" has finished", func() (bool, error) {
		n, err := b.unfinished(service)
		return n == 0 && err == nil, nil
	})
}

// missing returns the rows that the index does not have as they were sent.
func (b *bill) missing(rows []*product) []*product {
	b.t.Helper()
	items := make([]record.Item, len(rows))
	for i, row := range rows {
		items[i] = itemOf(row.ID)
	}
	stored, err := b.index.Load(b.t.Context(), collection, items, true)
	if err != nil {
		b.t.Fatal(err)
	}
	var missing []*product
	for i, row := range rows {
		if row.differs(stored[i]) != nil {
			missing = append(missing, row)
		}
	}
	return missing
}

// strike kills when a request comes to a point: the nth one of a burst, or one after it.
type strike struct {
	at   point
	nth  int
	kill func()
	done chan struct{} // closed: it is dead

	mu   sync.Mutex
	n    int // requests
	open int // of those, not answered; at the end those that the kill has met
	dead bool
}

// reach is what the provider calls. Where the kill is to meet an answer, the nth request is held
// without one.
func (s *strike) reach(p point) {
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		return
	}
	switch p {
	case asked:
		s.n++
		s.open++
	case answered:
		s.open--
	case half:
	}
	hold := s.at == answered && p == asked && s.n == s.nth
	if p == s.at && s.n >= s.nth && !hold {
		s.dead = true
		s.kill()
		close(s.done)
	}
	s.mu.Unlock()
	if hold {
		<-s.done
	}
}

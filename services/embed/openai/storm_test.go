package openai_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-io/freshet/libs/fake/embeddings"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/embed/provider"
)

const (
	stormSeeds   = 16
	stormCallers = 18 // partitions; a third of them of a backfill
	stormBatches = 6  // of each
	stormShared  = 40 // texts that anybody may have
)

// storm is a provider in which all goes wrong by chance, but nothing is charged that is not
// answered.
type storm struct {
	mu      sync.Mutex
	dice    *rand.Rand
	largest int // texts in a request
	right   embeddings.Reply
}

func (s *storm) reply(w http.ResponseWriter, r *http.Request, req embeddings.Request) {
	s.mu.Lock()
	dice, pause := s.dice.IntN(100), time.Duration(s.dice.IntN(400))*time.Millisecond
	s.mu.Unlock()
	time.Sleep(pause)
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case len(req.Input) > s.largest:
		dice %= 2
		embeddings.Status([]int{400, 413}[dice], "{}")(w, r, req)
	case key == "revoked":
		embeddings.Status(401, "")(w, r, req)
	case dice < 8:
		embeddings.Status(429, "", "Retry-After", strconv.Itoa(dice))(w, r, req)
	case dice < 12:
		embeddings.Status(429, "")(w, r, req)
	case dice < 20:
		embeddings.Status(500+dice%4, "")(w, r, req)
	case dice < 24:
		embeddings.Reset(w, r, req)
	case dice < 26:
		embeddings.Status(ok200, "<html>")(w, r, req)
	case dice < 27:
		embeddings.Hang(w, r, req)
	default:
		s.right(w, r, req)
	}
}

// TestStorm has many partitions embed through a provider in which all goes wrong by chance, with
// a rate limit and a key that is refused, and in every second run callers leave and come again: all
// is embedded in the end, rightly, and nothing is paid twice but what somebody has left.
func TestStorm(t *testing.T) {
	for seed := range uint64(stormSeeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { weather(t, seed) })
		})
	}
}

func weather(t *testing.T, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 0))                                                                                             //nolint:gosec // a test's chance
	server := embeddings.New((&storm{dice: dice, largest: 1 + rand.New(rand.NewPCG(seed, 1)).IntN(60), right: embeddings.OK()}).reply) //nolint:gosec // the same
	leaves := seed%2 == 1
	environ := []string{"FRESHET_EMBED_IN_FLIGHT=" + strconv.FormatUint(1+seed%8, 10)}
	switch seed % 3 {
	case 1:
		environ = append(environ, "FRESHET_OPENAI_REQUESTS_PER_MINUTE=300")
	case 2:
		environ = append(environ, "FRESHET_OPENAI_TOKENS_PER_MINUTE=6000")
	}
	e := embed(t, server, "good revoked", environ...)
	began := time.Now()
	var all sync.WaitGroup
	for n := range stormCallers {
		all.Go(func() { call(t, e, rand.New(rand.NewPCG(seed, uint64(n+2))), n, leaves) }) //nolint:gosec // the same
	}
	all.Wait()
	tokens, times := server.Charged()
	again, tokensAgain := 0, int64(0)
	for text, n := range times {
		tokensAgain += int64(n-1) * embeddings.Tokens(text)
		if text != "freshet" { // by which embed finds out whether the provider or a text is at fault
			again += n - 1
		}
	}
	t.Logf("%d texts in %d requests within %s, %d paid again", len(times), len(server.Asked()), time.Since(began).Round(time.Second), again)
	if c := e.Counts(); !leaves && (again > 0 || c.Tokens != tokens || c.AgainTokens != tokensAgain) {
		t.Errorf("%d texts were paid again, %d tokens charged, %d of them again, and %+v", again, tokens, tokensAgain, c)
	}
}

// call is a partition: batch after batch, each again until it passes.
func call(t *testing.T, e *embedder.Embedder, dice *rand.Rand, n int, leaves bool) {
	for batch := range stormBatches {
		texts := make([]string, 1+dice.IntN(50))
		for i := range texts {
			texts[i] = fmt.Sprintf("text %d of batch %d of caller %d", i, batch, n)
			if dice.IntN(8) == 0 {
				texts[i] = fmt.Sprintf("text %d that many have", dice.IntN(stormShared))
			}
		}
		ctx := provider.WithLane(t.Context(), provider.NewLane(n%3 == 0, nil))
		for {
			own, leave := context.WithCancel(ctx)
			if leaves && dice.IntN(3) == 0 {
				time.AfterFunc(time.Duration(dice.IntN(3000))*time.Millisecond, leave)
			}
			outcomes, err := e.Handle(own, items(texts...))
			left := own.Err() != nil
			leave()
			if err == nil {
				for i, o := range outcomes {
					if o.Label == embedder.Superseded { // the same text, and so item, twice
						continue
					}
					if o.Err != nil || string(o.Out[0].GetVector()) != vector(texts[i]) {
						t.Errorf("%q has %v, %v", texts[i], o.Out, o.Err)
					}
				}
				break
			}
			if !left && fault.ClassOf(err) != transient {
				t.Errorf("caller %d: %v", n, err)
				return
			}
			time.Sleep(max(200*time.Millisecond, fault.AfterOf(err)))
		}
	}
}

package openai_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/freshet-io/freshet/libs/fake/embeddings"
	"github.com/freshet-io/freshet/services/embed/embedder"
)

func moreTextsThan(n int) func(embeddings.Request) bool {
	return func(req embeddings.Request) bool { return len(req.Input) > n }
}

func moreTokensThan(n int64) func(embeddings.Request) bool {
	return func(req embeddings.Request) bool {
		var tokens int64
		for _, text := range req.Input {
			tokens += embeddings.Tokens(text)
		}
		return tokens > n
	}
}

func moreBytesThan(n int) func(embeddings.Request) bool {
	return func(req embeddings.Request) bool { return len(strings.Join(req.Input, "")) > n }
}

// TestCapsOfAnEndpointAreLearntAndRemembered: the first batch finds out how much a request may
// have by one refused request for each time that it is halved, and each later one is divided before it is sent.
func TestCapsOfAnEndpointAreLearntAndRemembered(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refuses func(embeddings.Request) bool
		refusal embeddings.Reply
		texts   int // in a batch
		bytes   int // of each
		first   int // requests for the first batch, refused ones too
		later   int // for a later one
	}{
		{"OpenAI, 2,048 texts", moreTextsThan(2048), apiError(400, "invalid_request_error", "array_above_max_length"), 4000, 20, 1 + 2, 2},
		{"OpenAI, 300,000 tokens", moreTokensThan(300_000), apiError(400, "max_tokens_per_request", "max_tokens_per_request"), 512, 4000, 1 + 2, 2},
		{"TEI, 32 texts", moreTextsThan(32), embeddings.Status(413, `{"error":"batch size 64 > maximum allowed batch size 32","error_type":"Validation"}`), 256, 20, 3 + 8, 8},
		{"a gateway that says 400, 10 texts", moreTextsThan(10), apiError(400, "InvalidParameter", "InvalidParameter"), 64, 20, 3 + 8, 8},
		{"a gateway that says 413, 64 texts", moreTextsThan(64), embeddings.Status(413, `{"code":20042,"message":"input batch size 136 > 64"}`), 256, 20, 2 + 4, 4},
		{"a server that says 422, 1,024 texts", moreTextsThan(1024), embeddings.Status(422, `{"detail":{"error":"too many"}}`), 4096, 20, 2 + 4, 4},
		{"a proxy, a megabyte", moreBytesThan(1 << 20), embeddings.Status(413, "<html>413 Request Entity Too Large"), 512, 4000, 1 + 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := embeddings.New(embeddings.Unless(tt.refuses, tt.refusal))
				e := embed(t, server, "", "FRESHET_EMBED_BATCH_ITEMS=4096", "FRESHET_EMBED_BATCH_TOKENS=1000000", "FRESHET_EMBED_CACHE_BYTES=0")
				for i, want := range []int{tt.first, tt.later, tt.later} {
					before := len(server.Asked())
					pass(t, e, numbered(i, tt.texts, tt.bytes))
					if n := len(server.Asked()) - before; n != want {
						t.Errorf("batch %d took %d requests, not %d", i+1, n, want)
					}
				}
				if _, times := server.Charged(); len(times) != 3*tt.texts {
					t.Errorf("%d texts were charged for", len(times))
				}
				if tokens, _ := server.Charged(); e.Counts().Tokens != tokens || e.Counts().AgainTokens != 0 {
					t.Errorf("%d tokens charged, %+v", tokens, e.Counts())
				}
			})
		})
	}
}

// TestServerThatWasOnlyUnwellIsNotSentLessForEver: as much has passed before.
func TestServerThatWasOnlyUnwellIsNotSentLessForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := embeddings.New(embeddings.OK(), embeddings.Status(400, "{}"), embeddings.OK())
		e := embed(t, server, "")
		for i, want := range []int{1, 3, 1} { // the second is refused whole, and both its halves pass
			before := len(server.Asked())
			pass(t, e, numbered(i, 100, 20))
			if n := len(server.Asked()) - before; n != want {
				t.Errorf("batch %d took %d requests, not %d", i+1, n, want)
			}
		}
	})
}

// TestOneTextThatIsTooLargeDoesNotLowerTheCap: what was refused did not pass in smaller requests.
func TestOneTextThatIsTooLargeDoesNotLowerTheCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := embeddings.New(embeddings.Unless(embeddings.Has(text1), embeddings.Status(413, "<html>")))
		e := embed(t, server, "")
		outcomes, err := e.Handle(t.Context(), append(items(text1), numbered(0, 63, 20)...))
		if err != nil || outcomes[0].Err == nil {
			t.Fatalf("%v, %v", outcomes[0], err)
		}
		before := len(server.Asked())
		pass(t, e, numbered(1, 256, 20))
		if n := len(server.Asked()) - before; n != 1 {
			t.Errorf("256 texts took %d requests", n)
		}
	})
}

func numbered(batch, n, size int) []embedder.Input {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%-*s.", size-1, fmt.Sprintf("batch %d text %d", batch, i))
	}
	return items(texts...)
}

// pass fails where not all items get their right vector.
func pass(t *testing.T, e *embedder.Embedder, inputs []embedder.Input) {
	t.Helper()
	outcomes, err := e.Handle(t.Context(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Err != nil || string(o.Out[0].GetVector()) != vector(inputs[i].Document.GetText()) {
			t.Fatalf("text %d has %v, %v", i, o.Out, o.Err)
		}
	}
}

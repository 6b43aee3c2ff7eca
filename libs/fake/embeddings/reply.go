package embeddings

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// Change makes a right answer another one, before it is sent.
type Change func(answer map[string]any, data []map[string]any)

// OK answers with the right vectors, and charges for the texts. Where base64 is asked for,
// every second vector comes as a list all the same: servers behind a proxy do so.
func OK(changes ...Change) Reply {
	return func(w http.ResponseWriter, _ *http.Request, req Request) {
		length := req.Length
		if length == 0 {
			length = Length
		}
		var data []map[string]any
		var tokens int64
		for i, text := range req.Input {
			v := Vector(text, length)
			data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": v})
			if req.Encoding == "base64" && i%2 == 0 {
				data[i]["embedding"] = Packed(v)
			}
			tokens += Tokens(text)
		}
		answer := map[string]any{"object": "list", "model": req.Model, "usage": map[string]any{"prompt_tokens": tokens, "total_tokens": tokens}}
		answer["data"] = data
		for _, change := range changes {
			change(answer, data)
		}
		if req.charge != nil {
			req.charge(tokens)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // a client that is gone needs none
	}
}

// Packed returns a vector in base64.
func Packed(v []float32) string {
	return base64.StdEncoding.EncodeToString(record.AppendVector(nil, v))
}

// Numbers answers with lists, whatever was asked for.
func Numbers(_ map[string]any, data []map[string]any) {
	for _, d := range data {
		if packed, ok := d["embedding"].(string); ok {
			raw, _ := base64.StdEncoding.DecodeString(packed)
			d["embedding"], _ = record.ParseVector(raw)
		}
	}
}

// SetVector answers with another value in the place of a vector.
func SetVector(i int, v any) Change {
	return func(_ map[string]any, data []map[string]any) { data[i]["embedding"] = v }
}

// SetModel answers under another model's name.
func SetModel(name any) Change {
	return func(answer map[string]any, _ []map[string]any) { answer["model"] = name }
}

// SetUsage answers with another usage.
func SetUsage(usage any) Change {
	return func(answer map[string]any, _ []map[string]any) { answer["usage"] = usage }
}

// Status answers with a status, a body and headers, each a name and a value.
func Status(code int, body string, headers ...string) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// Error answers as OpenAI does, with a message that quotes what must not be logged.
func Error(code int, kind, name, message string) Reply {
	return Status(code, fmt.Sprintf(`{"error":{"message":%q,"type":%q,"param":null,"code":%q}}`, message, kind, name))
}

// Unless answers with a reply where the condition holds, else rightly.
func Unless(bad func(Request) bool, reply Reply) Reply {
	right := OK()
	return func(w http.ResponseWriter, r *http.Request, req Request) {
		if bad(req) {
			reply(w, r, req)
			return
		}
		right(w, r, req)
	}
}

// Has is true of requests with a text.
func Has(text string) func(Request) bool {
	return func(req Request) bool { return slices.Contains(req.Input, text) }
}

// Reset breaks the connection without an answer; over TCP by RST.
func Reset(w http.ResponseWriter, _ *http.Request, _ Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// ChargedReset charges for the texts and breaks the connection: the outcome is unknown.
func ChargedReset(w http.ResponseWriter, r *http.Request, req Request) {
	OK()(httptest.NewRecorder(), r, req)
	Reset(w, r, req)
}

// Raw sends bytes as they are, whether they are HTTP or not.
func Raw(text string) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

// Hang never answers.
func Hang(_ http.ResponseWriter, r *http.Request, _ Request) { <-r.Context().Done() }

// Drip answers with a space a second, for ever.
func Drip(w http.ResponseWriter, r *http.Request, _ Request) {
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(time.Second):
		}
	}
}

// Endless answers as fast as it can, and never ends.
func Endless(w http.ResponseWriter, r *http.Request, _ Request) {
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// zeros is 64 MB of nothing in 64 kB.
var zeros = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(make([]byte, 64<<20))
	_ = zip.Close()
	return out.Bytes()
})

// Bomb answers with little that unpacks to much.
func Bomb(w http.ResponseWriter, _ *http.Request, _ Request) {
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(zeros())
}

// Truncated answers with the first half of a right answer, as if it were all.
func Truncated(w http.ResponseWriter, r *http.Request, req Request) {
	whole := httptest.NewRecorder()
	OK()(whole, r, req)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
}

// BrokenOff answers with less than it promises.
func BrokenOff(w http.ResponseWriter, r *http.Request, req Request) {
	w.Header().Set("Content-Length", "100000")
	Truncated(w, r, req)
}

// Deep answers with lists in lists.
var Deep = Status(http.StatusOK, `{"data":`+strings.Repeat("[", 100_000))

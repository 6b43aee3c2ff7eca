package intake_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ingest/intake"
)

// held returns how many bytes requests hold.
func (b *bed) held(t *testing.T) int {
	t.Helper()
	n, err := strconv.ParseFloat(b.gauge(t), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// slowClient looks at the server while its answer is written.
type slowClient struct {
	*httptest.ResponseRecorder

	looks []func()
}

func (c *slowClient) Write(b []byte) (int, error) {
	for _, look := range c.looks {
		look()
	}
	c.looks = nil
	return c.ResponseRecorder.Write(b)
}

// post returns the answer as it was written.
func (b *bed) post(t *testing.T, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, request(t, "POST", "/v1/items?source=products", body, headers...))
	return w
}

// badLines are lines of which much is told.
func badLines(n int) string {
	return strings.Repeat(`{"id":"`+strings.Repeat("i", 400)+`","seq":1,"name":"a","price":"`+strings.Repeat("p", 200)+"\"}\n", n)
}

func TestRoom_isTakenByWhatIsToldOfBadLinesUntilTheClientHasIt(t *testing.T) {
	b := newBed(t)
	var held int
	client := &slowClient{ResponseRecorder: httptest.NewRecorder()}
	client.looks = append(client.looks, func() { held = b.held(t) })
	const n = 5000
	b.Handler().ServeHTTP(client, request(t, "POST", "/v1/items?source=products", badLines(n)))
	if told := client.Body.Len(); client.Code != http.StatusUnprocessableEntity || told < n*300 || held < told || held > 2*told {
		t.Errorf("%d: %d bytes are told, and %d held", client.Code, told, held)
	}
	if got := b.gauge(t); got != "0" {
		t.Errorf("%s bytes are still held", got)
	}
}

func TestRoom_whereTheAnswerHasNoneTheRequestIsRefusedForNow(t *testing.T) {
	b := newBed(t, "FRESHET_HTTP_MAX_IN_FLIGHT_BYTES=25000000")
	text := badLines(9999) + cup
	var answers []*slowClient
	var ask func()
	ask = func() { // again while each answer is written
		client := &slowClient{ResponseRecorder: httptest.NewRecorder()}
		if answers = append(answers, client); len(answers) < 10 {
			client.looks = append(client.looks, ask)
		}
		b.Handler().ServeHTTP(client, request(t, "POST", "/v1/items?source=products", text))
	}
	ask()
	if first, last := answers[0], answers[9]; first.Code != http.StatusOK || last.Code != http.StatusTooManyRequests || last.Header().Get("Retry-After") != "1" {
		t.Errorf("%d, and while much is told, %d %v", first.Code, last.Code, last.Header())
	}
	if b.gauge(t) != "0" {
		t.Errorf("%s bytes are still held", b.gauge(t))
	}
}

// Else it would be told to come again for ever.
func TestRoom_theLeastThatIsAllowedHoldsTheLargestRequest(t *testing.T) {
	text := badLines(intake.MaxLines)
	for _, encoding := range []string{"", "gzip", "zstd"} {
		b := newBed(t, "FRESHET_HTTP_MAX_IN_FLIGHT_BYTES=24457218")
		body := text + strings.Repeat(" ", intake.MaxBytes-len(text))
		body = body[:len(text)-1] + body[len(text):] + "\n" // the blanks are of the last line
		if encoding != "" {
			body = pack(t, encoding, body)
		}
		if w := b.post(t, body, "Content-Encoding", encoding); w.Code != http.StatusUnprocessableEntity || b.gauge(t) != "0" {
			t.Errorf("%q: %d %.200s", encoding, w.Code, w.Body)
		}
	}
	if _, err := settings("FRESHET_HTTP_TOKENS=a", "FRESHET_HTTP_MAX_IN_FLIGHT_BYTES=24457217"); err == nil {
		t.Error("less is allowed")
	}
}

func TestRoom_isTakenByKeysAndRecordsToo(t *testing.T) {
	b := newBed(t)
	held := 0
	b.sink.looks = func() { held = b.held(t) }
	const n = 1000
	row := `{"id":"` + strings.Repeat("i", 400) + `","seq":1,"name":"a"}` + "\n"
	if w := b.post(t, strings.Repeat(row, n)); w.Code != http.StatusOK {
		t.Fatal(w.Code)
	}
	if rows := n * len(row); held < rows+n*(400+200) {
		t.Errorf("%d bytes of rows, with keys of 400 each, hold %d", rows, held)
	}
}

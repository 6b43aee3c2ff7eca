package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
)

// Result tells what became of a request's lines.
type Result struct {
	Accepted int       `json:"accepted"` // in Kafka, acknowledged by all replicas
	Failed   int       `json:"failed"`
	Items    []Failure `json:"items"` // those that failed, in the order of their lines
}

// Failure is a line that was not accepted, and never will be as it is.
type Failure struct {
	Line    int    `json:"line"`         // from 1
	ID      string `json:"id,omitempty"` // of its item, where that is known
	Status  int    `json:"status"`
	Code    string `json:"code"` // as the reason of a dead letter, or why ingest would skip it
	Message string `json:"message"`
}

// refusal is the answer to a request of which nothing is accepted.
type refusal struct {
	status  int
	after   time.Duration // when it may be sent again; 0: as it is, never
	Code    string        `json:"code"`
	Message string        `json:"message"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func (r *refusal) again(after time.Duration) *refusal {
	r.after = after
	return r
}

// write answers with a result or with an error, and returns the status. Where lines failed and none was accepted, it
// is that of a refusal.
func write(w http.ResponseWriter, result Result, err error) int {
	status, body := http.StatusOK, any(result)
	if err != nil {
		r, ok := errors.AsType[*refusal](err)
		if !ok {
			r = refuse(http.StatusInternalServerError, "internal", "the request was not understood by a fault of this program; it is in its log")
		}
		status, body = r.status, r
		if r.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(r.after.Seconds())))
		}
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
	} else if result.Accepted == 0 && result.Failed > 0 {
		status = http.StatusUnprocessableEntity
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encode(w, body)
	return status
}

// encode writes failures one by one: all of them as one text would take as much memory again. The client may have gone.
func encode(w io.Writer, body any) {
	result, is := body.(Result)
	if !is {
		_ = json.NewEncoder(w).Encode(body)
		return
	}
	_, err := fmt.Fprintf(w, `{"accepted":%d,"failed":%d,"items":[`, result.Accepted, result.Failed)
	for i, separator := 0, ""; i < len(result.Items) && err == nil; i, separator = i+1, "," {
		var item []byte
		if item, err = json.Marshal(&result.Items[i]); err == nil {
			_, err = fmt.Fprintf(w, "%s%s", separator, item)
		}
	}
	_, _ = io.WriteString(w, "]}\n")
}

// failure tells of a line whose error is permanent.
func failure(line int, id string, err error) Failure {
	reason := fault.ReasonOf(err)
	f := Failure{Line: line, ID: bounded(id), Status: http.StatusUnprocessableEntity, Code: string(reason)}
	f.Message = bounded(strings.TrimPrefix(err.Error(), f.Code+": "))
	if reason == fault.Oversize {
		f.Status = http.StatusRequestEntityTooLarge
	}
	return f
}

// bytes is what it takes of memory.
func (f *Failure) bytes() int { return failureBytes + len(f.ID) + len(f.Message) }

// bounded keeps an answer short whatever is in a line, of which it keeps nothing else alive.
func bounded(s string) string {
	if len(s) <= mostTold {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(s[:mostTold-len("…")], "") + "…"
}

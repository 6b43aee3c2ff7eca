package intake

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

const firstRead = 16 << 10

// What a line costs beside its own bytes.
const (
	recordBytes  = 512 // on its way to Kafka, ours and franz-go's
	failureBytes = 256 // in the answer, and
	mostTold     = 256 // of its id and of what is the matter, each
)

// mostBytes is what the largest request takes: its body, packed and unpacked or with what is unpacked of its lines, and its lines.
const mostBytes = 2*(MaxBytes+1) + MaxLines*(failureBytes+2*mostTold)

// room is how many bytes all requests together may hold.
type room struct {
	most int64
	used atomic.Int64
}

// hold is what one request has of it. It is for one goroutine.
type hold struct {
	room   *room
	bytes  int64 // of body and records, which go on to Kafka
	answer int64 // of what is told of lines, which stays until the client has it
}

// take takes n bytes more, or refuses: a request never waits for another one while it holds bytes itself.
func (h *hold) take(n int) error {
	if h.room.used.Add(int64(n)) > h.room.most {
		h.room.used.Add(-int64(n))
		return refuse(http.StatusTooManyRequests, "busy", "more is under way to Kafka than this process holds: send the request again, and less at once").again(busyFor)
	}
	h.bytes += int64(n)
	return nil
}

// tell takes n bytes for the answer, as take does.
func (h *hold) tell(n int) error {
	err := h.take(n)
	if err == nil {
		h.bytes -= int64(n)
		h.answer += int64(n)
	}
	return err
}

// owe takes n bytes for the answer to a request that cannot be refused any more.
func (h *hold) owe(n int) {
	h.room.used.Add(int64(n))
	h.answer += int64(n)
}

// giveBack releases what is not needed any more.
func (h *hold) giveBack(n int64) {
	h.room.used.Add(-n)
	h.bytes -= n
}

// handOver gives what goes on to Kafka to its caller, who has it released.
func (h *hold) handOver() (release func()) {
	handed := h.bytes
	h.bytes = 0
	return func() { h.room.used.Add(-handed) }
}

// answered releases what the answer took, when the client has it.
func (h *hold) answered() { h.room.used.Add(-h.answer) }

// readAll reads to the end, and takes the room for it as it comes.
func (h *hold) readAll(from io.Reader) ([]byte, error) {
	var all []byte
	for {
		if len(all) == cap(all) {
			more := min(max(cap(all), firstRead), MaxBytes+1-cap(all))
			if err := h.take(more); err != nil {
				return nil, err
			}
			all = append(make([]byte, 0, cap(all)+more), all...)
		}
		n, err := from.Read(all[len(all):cap(all)])
		all = all[:len(all)+n]
		switch {
		case len(all) > MaxBytes:
			return nil, tooLarge()
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
	}
}

package intake

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Limits of a request. They stand in openapi.yaml, too.
const (
	MaxBytes     = 8 << 20 // of a body, packed and unpacked
	MaxLineBytes = 1 << 20 // a longer line fails alone
	MaxLines     = 10_000  // so that the answer is bounded, whatever is in them
)

const firstRead = 16 << 10

// room is how many bytes all requests together may hold.
type room struct {
	most int64
	used atomic.Int64
}

// hold is what one request has of it. It is used by one goroutine at a time.
type hold struct {
	room  *room
	bytes int64
	kept  bool // by what goes on after the request
}

// take takes n bytes more, or refuses: a request never waits for another one while it holds bytes itself.
func (h *hold) take(n int64) error {
	if h.room.used.Add(n) > h.room.most {
		h.room.used.Add(-n)
		return refuse(http.StatusTooManyRequests, "busy", "more is under way to Kafka than this process holds: send the request again, and less at once").again(busyFor)
	}
	h.bytes += n
	return nil
}

func (h *hold) release() {
	h.room.used.Add(-h.bytes)
	h.bytes = 0
}

// readAll reads to the end, and takes the room for it as it comes.
func (h *hold) readAll(from io.Reader) ([]byte, error) {
	var all []byte
	for {
		if len(all) == cap(all) {
			more := max(cap(all), firstRead)
			if err := h.take(int64(more)); err != nil {
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

func tooLarge() error {
	return refuse(http.StatusRequestEntityTooLarge, "too-large", "the body has more than %d bytes, unpacked: send it in pieces", MaxBytes)
}

// read returns the body of a request, unpacked.
func (s *Server) read(r *http.Request, h *hold, types ...string) ([]byte, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || !slices.Contains(types, media) {
		return nil, refuse(http.StatusUnsupportedMediaType, "unsupported-type", "Content-Type must be %s", strings.Join(types, " or "))
	}
	unpack, known := s.encodings[strings.ToLower(r.Header.Get("Content-Encoding"))]
	switch {
	case !known:
		return nil, refuse(http.StatusUnsupportedMediaType, "unsupported-encoding", "Content-Encoding must be gzip, zstd or left out")
	case r.ContentLength > MaxBytes:
		return nil, tooLarge()
	}
	packed, err := h.readAll(r.Body)
	switch {
	case err == nil:
		return unpack(h, packed)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refuse(http.StatusRequestTimeout, "timeout", "the body did not come within %s", s.config.ReadTimeout)
	case isRefusal(err):
		return nil, err
	}
	return nil, refuse(http.StatusBadRequest, "cut-short", "the body ended before its end")
}

func isRefusal(err error) bool {
	_, is := errors.AsType[*refusal](err)
	return is
}

// unpacker unpacks a body within the room of its request.
type unpacker func(h *hold, packed []byte) ([]byte, error)

// newEncodings returns the unpackers by Content-Encoding. A body is unpacked when all of it is there, so that a slow client
// holds no more than it has sent.
func newEncodings() (map[string]unpacker, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxBytes))
	if err != nil {
		return nil, err
	}
	asIs := func(_ *hold, body []byte) ([]byte, error) { return body, nil }
	return map[string]unpacker{"": asIs, "identity": asIs, "gzip": gunzip, "zstd": func(h *hold, packed []byte) ([]byte, error) {
		if err := h.take(MaxBytes); err != nil {
			return nil, err
		}
		body, err := decoder.DecodeAll(packed, nil)
		switch {
		case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded), len(body) > MaxBytes:
			return nil, tooLarge()
		case err != nil:
			return nil, notPacked("zstd")
		}
		return body, nil
	}}, nil
}

func gunzip(h *hold, packed []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, notPacked("gzip")
	}
	body, err := h.readAll(reader)
	if err != nil && !isRefusal(err) {
		return nil, notPacked("gzip")
	}
	return body, err
}

func notPacked(encoding string) error {
	return refuse(http.StatusBadRequest, "bad-encoding", "Content-Encoding says %s, and the body is not", encoding)
}

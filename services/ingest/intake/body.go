package intake

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Limits of a request. They stand in openapi.yaml, too.
const (
	MaxBytes     = 8 << 20 // of a body, packed and unpacked
	MaxLineBytes = 1 << 20 // a longer line fails alone
	MaxLines     = 10_000  // so that the answer is bounded, whatever is in them
)

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
	body, err := h.readAll(r.Body)
	switch {
	case err == nil && unpack != nil:
		defer h.giveBack(h.bytes) // the packed body's, which is not needed any more
		return unpack(h, body)
	case err == nil:
		return body, nil
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

// unpacker unpacks a body within the room of its request; nil leaves it as it is.
type unpacker func(h *hold, packed []byte) ([]byte, error)

// newEncodings returns the unpackers by Content-Encoding. A body is unpacked when all of it is there, so that a slow client
// holds no more than it has sent.
func newEncodings() (map[string]unpacker, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxBytes))
	if err != nil {
		return nil, err
	}
	return map[string]unpacker{"": nil, "identity": nil, "gzip": gunzip, "zstd": func(h *hold, packed []byte) ([]byte, error) {
		return unzstd(decoder, h, packed)
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

package intake

import (
	"errors"

	"github.com/klauspost/compress/zstd"
)

// unzstd takes room for as much as the body may become, before it does.
func unzstd(decoder *zstd.Decoder, h *hold, packed []byte) ([]byte, error) {
	size, ok := unzstdBytes(packed)
	if !ok {
		return nil, notPacked("zstd")
	}
	size = min(size, MaxBytes)
	if err := h.take(size); err != nil {
		return nil, err
	}
	body, err := decoder.DecodeAll(packed, make([]byte, 0, size))
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded), len(body) > MaxBytes:
		return nil, tooLarge()
	case err != nil:
		return nil, notPacked("zstd")
	}
	return body, nil
}

// The types of blocks, of 4, and what one may become (RFC 8878, 3.1.1.2).
const (
	rleBlock        = 1
	compressedBlock = 2
	blockBytes      = 128 << 10
)

// unzstdBytes returns what a body becomes at most, by the headers of its frames and blocks: a frame need not say it. It
// stops counting above the limit; ok is false for what is not zstd.
func unzstdBytes(packed []byte) (size int, ok bool) {
	for len(packed) > 0 && size <= MaxBytes {
		var header zstd.Header
		if header.Decode(packed) != nil {
			return 0, false
		}
		end := header.HeaderSize
		if header.Skippable {
			end += int(header.SkippableSize)
		} else {
			frame, blocks := blocksOf(packed[end:])
			if end += blocks; blocks == 0 {
				return 0, false
			}
			if header.HasCheckSum {
				end += 4
			}
			if header.HasFCS {
				frame = int(min(uint64(frame), header.FrameContentSize)) //nolint:gosec // bounded by frame
			}
			size += frame
		}
		if end > len(packed) {
			return 0, false
		}
		packed = packed[end:]
	}
	return size, true
}

// blocksOf returns what the blocks of a frame become at most, and how long they are; 0 where they do not end.
func blocksOf(packed []byte) (size, length int) {
	for last := false; !last; {
		if len(packed) < length+3 {
			return 0, 0
		}
		header := int(packed[length]) | int(packed[length+1])<<8 | int(packed[length+2])<<16
		bytes := header >> 3
		last, length = header&1 == 1, length+3
		switch header >> 1 & 3 {
		case rleBlock:
			size, length = size+bytes, length+1
		case compressedBlock:
			size, length = size+blockBytes, length+bytes
		default:
			size, length = size+bytes, length+bytes
		}
	}
	return size, length
}

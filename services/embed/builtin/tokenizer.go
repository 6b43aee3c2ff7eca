package builtin

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the vocabulary
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/freshet-io/freshet/services/embed/builtin/layout"
)

//go:embed weights/pieces.tsv.gz
var piecesFile []byte

const (
	reserved = 6   // the first pieces are symbols that no text contains
	unknown  = 0   // the piece of runes that begin no piece
	penalty  = -20 // score of an unknown rune, below every piece's
	space    = "▁" // stands for a space, and before the text
)

// tokenizer cuts a text into the pieces of a unigram language model (Kudo, 2018):
// the cut with the highest sum of scores, found by Viterbi's algorithm.
type tokenizer struct {
	ids     map[string]int32
	scores  []float64
	longest int // bytes of the longest piece
}

func loadTokenizer() (*tokenizer, error) {
	lines, err := decompress(piecesFile)
	if err != nil {
		return nil, fmt.Errorf("reading the vocabulary: %w", err)
	}
	t := &tokenizer{ids: make(map[string]int32, layout.Pieces)}
	for line := range strings.Lines(lines) {
		piece, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		score, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, fmt.Errorf("reading the vocabulary: %w", err)
		}
		id := len(t.scores)
		t.scores = append(t.scores, score)
		if id >= reserved {
			t.ids[piece] = int32(id) //nolint:gosec // 8,000 pieces
			t.longest = max(t.longest, len(piece))
		}
	}
	if len(t.scores) != layout.Pieces {
		return nil, fmt.Errorf("the vocabulary has %d pieces, not %d", len(t.scores), layout.Pieces)
	}
	return t, nil
}

func decompress(file []byte) (string, error) {
	zip, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(zip)
	return string(text), err
}

// cell is the best cut of the text up to one byte.
type cell struct {
	from    int // where its last piece begins
	id      int32
	reached bool
	score   float64
}

// encode returns the pieces of a text, with runs of unknown ones made one, and the
// share of unknown ones before that.
func (t *tokenizer) encode(text string) (ids []int32, share float64) {
	text = strings.ReplaceAll(space+norm.NFKC.String(strings.ToValidUTF8(text, "\uFFFD")), " ", space)
	best := t.search(text)
	total, strange := 0, 0
	for at := len(text); at > 0; at = best[at].from {
		id := best[at].id
		total++
		if id == unknown {
			strange++
			if len(ids) > 0 && ids[len(ids)-1] == unknown {
				continue
			}
		}
		ids = append(ids, id)
	}
	slices.Reverse(ids)
	return ids, float64(strange) / float64(total)
}

// search returns, for each byte at which a rune begins, the best cut up to there.
func (t *tokenizer) search(text string) []cell {
	best := make([]cell, len(text)+1)
	best[0].reached = true
	for at := 0; at < len(text); {
		_, first := utf8.DecodeRuneInString(text[at:])
		known := false
		for end := at + first; end <= len(text) && end-at <= t.longest; {
			if id, ok := t.ids[text[at:end]]; ok {
				known = known || end == at+first
				best[end].offer(at, id, best[at].score+t.scores[id])
			}
			if end == len(text) {
				break
			}
			_, size := utf8.DecodeRuneInString(text[end:])
			end += size
		}
		if !known {
			best[at+first].offer(at, unknown, best[at].score+penalty)
		}
		at += first
	}
	return best
}

func (c *cell) offer(from int, id int32, score float64) {
	if !c.reached || score > c.score {
		*c = cell{from: from, id: id, reached: true, score: score}
	}
}

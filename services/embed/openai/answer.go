package openai

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// answer is the body of a response with status 200.
type answer struct {
	Data  []entry `json:"data"`
	Model string  `json:"model"`
	Usage usage   `json:"usage"`
}

// usage is what an answer says that it costs, 0 where it says nothing that can be read: the
// vectors are good all the same, and to ask for them again would be to pay again.
type usage float64

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (u *usage) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var fields map[string]jsontext.Value
	_ = json.Unmarshal(value, &fields)
	for _, name := range []string{"total_tokens", "prompt_tokens"} {
		if n, ok := number(strings.Trim(string(fields[name]), `"`)); ok && n > 0 {
			*u = usage(n)
			return nil
		}
	}
	return nil
}

type entry struct {
	Index  *int   `json:"index"`
	Vector vector `json:"embedding"`
}

// vector reads a list of numbers, or base64 of little-endian float32, whichever came:
// servers behind a proxy do not always send what was asked for.
type vector []float32

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (v *vector) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch value.Kind() { //nolint:exhaustive // the others are no vector
	case '"':
		return v.fromBase64(value)
	case '[':
		return v.fromNumbers(value)
	default:
		return errors.New("an embedding is neither a list nor a string")
	}
}

func (v *vector) fromBase64(value jsontext.Value) error {
	buf, _ := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	text := []byte(value[1 : len(value)-1])
	if bytes.IndexByte(text, '\\') >= 0 { // some servers escape the slash
		var err error
		if text, err = jsontext.AppendUnquote(nil, value); err != nil {
			return err
		}
	}
	*buf = slices.Grow((*buf)[:0], base64.StdEncoding.DecodedLen(len(text)))
	raw := (*buf)[:base64.StdEncoding.DecodedLen(len(text))]
	n, err := base64.StdEncoding.Decode(raw, text)
	if err != nil {
		return fmt.Errorf("an embedding is no base64: %w", err)
	}
	*v, err = record.ParseVector(raw[:n])
	return err
}

// fromNumbers reads a list whose syntax the decoder has already checked.
func (v *vector) fromNumbers(value jsontext.Value) error {
	list := strings.TrimSpace(string(value[1 : len(value)-1]))
	out := make(vector, 0, strings.Count(list, ",")+1)
	for list != "" {
		var one string
		one, list, _ = strings.Cut(list, ",")
		f, err := strconv.ParseFloat(strings.TrimSpace(one), 32)
		if err != nil {
			return errors.New("an embedding holds something that is no float32")
		}
		out = append(out, float32(f))
	}
	*v = out
	return nil
}

// wrongSpace says that the vectors are of another space than the index's: of another
// length or another model. It is asked about once more, since one of several servers
// behind a proxy may be wrong, and then stops the service.
type wrongSpace struct{ error }

type expectation struct {
	texts      int
	bytes      int // of the texts
	dimensions int
	model      string // "" accepts every name
	cut        bool
}

// read returns the vectors of a body in the order of the texts. One that is wrong
// refuses them all: an answer that mixes up one thing may have mixed up more. What it costs is
// returned also with an error.
func (e expectation) read(body []byte) (provider.Embeddings, error) {
	var a answer
	// Both checks would cost time and find nothing that matters here.
	lenient := json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := json.Unmarshal(body, &a, lenient); err != nil {
		return provider.Embeddings{}, fmt.Errorf("the provider's answer is no list of embeddings (%d bytes, beginning with %.1q)", len(body), body)
	}
	out := provider.Embeddings{Model: a.Model, Tokens: e.tokens(a.Usage)}
	if len(a.Data) != e.texts {
		return out, fmt.Errorf("the provider sent %d vectors for %d texts", len(a.Data), e.texts)
	}
	if e.model != "" && a.Model != "" && !sameModel(e.model, a.Model) {
		return out, wrongSpace{fmt.Errorf("the provider answered with the model %.60q, not %q: set FRESHET_OPENAI_ANSWERS_AS, of a backup FRESHET_OPENAI_BACKUP_ANSWERS_AS, if that is its name for it", a.Model, e.model)}
	}
	out.Vectors = make([][]float32, e.texts)
	for i, d := range a.Data {
		if d.Index == nil || *d.Index < 0 || *d.Index >= e.texts || out.Vectors[*d.Index] != nil {
			return out, fmt.Errorf("the provider's vector %d has no index of its own", i+1)
		}
		v, err := e.check(d.Vector)
		if err != nil {
			return out, err
		}
		out.Vectors[*d.Index] = v
	}
	return out, nil
}

// tokens returns what an answer says that it costs, 0 where that cannot be: a token is a byte
// at least, and a server may put an instruction before each text. Taken for the truth, a
// number such as 2^50 would be a debt of years at the rate limit.
func (e expectation) tokens(u usage) int64 {
	if most := 4*e.bytes + 1000*e.texts; float64(u) > float64(most) {
		return 0
	}
	return int64(u)
}

func (e expectation) check(v vector) ([]float32, error) {
	shorten := e.cut && len(v) > e.dimensions
	if shorten {
		v = v[:e.dimensions:e.dimensions]
	}
	if len(v) != e.dimensions {
		return nil, wrongSpace{fmt.Errorf("the provider sent a vector of %d dimensions, not %d", len(v), e.dimensions)}
	}
	var sum float64
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) || sum == 0 {
		return nil, errors.New("the provider sent a vector that is not finite or has no length")
	}
	if shorten {
		factor := float32(1 / math.Sqrt(sum))
		for i := range v {
			v[i] *= factor
		}
	}
	return v, nil
}

// suffix is what servers add to a model's name: a version or a tag.
var suffix = regexp.MustCompile(`^[-:@]v?(\d+(\.\d+)*|latest)$`)

// sameModel reports whether two names can be of one model: openai/x and x, x and
// x-v2 or x:latest. A name that only begins alike (bge-small, bge-small-zh) is not.
func sameModel(asked, answered string) bool {
	a, b := strings.ToLower(path.Base(asked)), strings.ToLower(path.Base(answered))
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(b, a)
	return ok && (rest == "" || suffix.MatchString(rest))
}

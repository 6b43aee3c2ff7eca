package embedder

import (
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer"

	"github.com/freshet-io/freshet/libs/fault"
)

// limit is how long a text may be: in tokens where they can be counted, else in bytes.
type limit struct {
	tokens int
	bytes  int
	codec  tokenizer.Codec // nil where the model's tokens cannot be counted
}

// fitted is a text that the model takes.
type fitted struct {
	text      string
	tokens    int // exact where they were counted, else estimated
	truncated bool
	original  int64 // tokens before it was cut; 0 where they were not counted
}

func (f fitted) made(vector []byte) made {
	return made{vector: vector, truncated: f.truncated, original: f.original}
}

// fit cuts a text to the limit, or rejects it as oversize where it may not be cut.
func (l limit) fit(text string, mayCut bool) (fitted, error) {
	if l.codec == nil {
		return l.fitBytes(text, mayCut)
	}
	// A token has at least a byte.
	if len(text) <= l.tokens {
		return fitted{text: text, tokens: estimate(text)}, nil
	}
	_, tokens, err := l.codec.Encode(text)
	if err != nil {
		return fitted{}, fault.Reject(fault.ProviderRejected, "counting the tokens of the text: %w", err)
	}
	f := fitted{text: text, tokens: len(tokens), original: int64(len(tokens))}
	if len(tokens) <= l.tokens {
		return f, nil
	}
	if !mayCut {
		return fitted{}, fault.Reject(fault.Oversize, "the text has %d tokens, and the model takes %d", len(tokens), l.tokens)
	}
	f.text, f.tokens, err = l.cut(text, tokens)
	f.truncated = true
	return f, err
}

// cut returns the longest beginning of text that is whole tokens, whole characters
// and within the limit. A token of Chinese is often a part of a character, and what is
// left of a word may be more tokens than the word was: so the beginning is counted again.
func (l limit) cut(text string, tokens []string) (string, int, error) {
	for keep := l.tokens; keep > 0; {
		at := 0
		for _, t := range tokens[:keep] {
			at += len(t)
		}
		for keep > 0 && !utf8.RuneStart(text[at]) {
			keep--
			at -= len(tokens[keep])
		}
		n, err := l.codec.Count(text[:at])
		if err != nil {
			return "", 0, fault.Reject(fault.ProviderRejected, "counting the tokens of the text: %w", err)
		}
		if n <= l.tokens && at > 0 {
			return text[:at], n, nil
		}
		keep -= max(n-l.tokens, 1)
	}
	return "", 0, fault.Reject(fault.Oversize, "the text begins with a character of more than %d tokens", l.tokens)
}

func (l limit) fitBytes(text string, mayCut bool) (fitted, error) {
	if len(text) <= l.bytes {
		return fitted{text: text, tokens: estimate(text)}, nil
	}
	if !mayCut {
		return fitted{}, fault.Reject(fault.Oversize, "the text has %d bytes, and %d are taken", len(text), l.bytes)
	}
	at := l.bytes
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	if at == 0 {
		return fitted{}, fault.Reject(fault.Oversize, "the text begins with a character of more than %d bytes", l.bytes)
	}
	return fitted{text: text[:at], tokens: estimate(text[:at]), truncated: true}, nil
}

// estimate returns about how many tokens a text has: four bytes of ASCII are one, and
// two of anything else, which is on the safe side for Chinese.
func estimate(text string) int {
	ascii := 0
	for i := range len(text) {
		if text[i] < utf8.RuneSelf {
			ascii++
		}
	}
	return ascii/4 + (len(text)-ascii)/2 + 1
}

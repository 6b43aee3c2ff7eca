package openai

import (
	"net/http"
	"sync"

	"github.com/freshet-io/freshet/services/embed/provider"
)

// unit is what a request had too much of.
type unit int

const (
	unsaid unit = iota
	inTexts
	inTokens
	inBytes
)

// caps is how large a request may be, as an endpoint's refusals have shown: OpenAI takes 2,048
// texts and 300,000 tokens, TEI 32 texts, others 10 or 64, a proxy so many bytes. None of them
// says so before. It is safe for concurrent use.
type caps struct {
	mu     sync.Mutex
	most   provider.Size
	passed provider.Size // the most of each that has passed
}

func (c *caps) largest() provider.Size {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

func (c *caps) pass(texts, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed.Texts, c.passed.Bytes = max(c.passed.Texts, texts), max(c.passed.Bytes, bytes)
}

// learn lowers what a request had too much of to what passed. Where the refusal does not say
// what that was, it is something of which so much has never passed: first of all the texts. If
// there is nothing of the kind the server was only unwell, and must not be sent less for ever.
func (c *caps) learn(of unit, fits provider.Size, refused provider.Size) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case of != unsaid:
	case refused.Texts > c.passed.Texts:
		of = inTexts
	case refused.Bytes > c.passed.Bytes:
		of = inBytes
	}
	switch of {
	case unsaid:
	case inTexts:
		c.most.Texts = min(c.most.Texts, fits.Texts)
	case inTokens:
		c.most.Tokens = min(c.most.Tokens, fits.Tokens)
	case inBytes:
		c.most.Bytes = min(c.most.Bytes, fits.Bytes)
	}
}

// excess returns what a refused request had too much of, where the refusal says it. A 413
// without a word of JSON is a proxy's, which counts bytes; TEI's is about texts.
func (r refusal) excess() unit {
	switch {
	case r.is("max_tokens_per_request"):
		return inTokens
	case r.is("array_above_max_length"), r.status == http.StatusRequestEntityTooLarge && r.is("Validation"):
		return inTexts
	case r.status == http.StatusRequestEntityTooLarge && !r.json:
		return inBytes
	}
	return unsaid
}

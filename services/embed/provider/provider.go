// Package provider holds what every embeddings provider and its callers tell each other.
//
// It owns those types, so that they need not know each other. It never calls anything.
package provider

// Embeddings is a provider's answer to a list of texts.
type Embeddings struct {
	// Vectors has one vector a text, in the order of the texts: of one length, finite,
	// not all zero. They belong to the caller.
	Vectors [][]float32
	// Tokens is what the provider charges for; 0 where it does not say.
	Tokens int64
	// Wasted is what it charged on the way for answers that were of no use, also where
	// there is an error. It is not in Tokens.
	Wasted int64
	// Model is the model as the provider names it.
	Model string
	// Fallbacks are the indices of texts that the model cannot read and that were
	// embedded by their characters instead. Only the built-in model has any.
	Fallbacks []int
}

// Size is how much a request holds, as who makes the requests counts it.
type Size struct{ Texts, Tokens, Bytes int }

// TooLarge is in the error of a refused request whose texts may all pass in smaller ones.
type TooLarge struct {
	error

	fits func(Size)
}

// NewTooLarge returns such an error. fits is for Fits.
func NewTooLarge(err error, fits func(Size)) TooLarge { return TooLarge{err, fits} }

// Unwrap returns the refusal.
func (t TooLarge) Unwrap() error { return t.error }

// Fits tells who refused that all texts have passed in requests of at most this size.
func (t TooLarge) Fits(s Size) { t.fits(s) }

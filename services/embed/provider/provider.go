// Package provider holds the answer that every embeddings provider gives.
//
// It owns that one type, so that a provider and its callers need not know each
// other. It never calls anything.
package provider

// Embeddings is a provider's answer to a list of texts.
type Embeddings struct {
	// Vectors has one vector a text, in the order of the texts: of one length, finite,
	// not all zero. They belong to the caller.
	Vectors [][]float32
	// Tokens is what the provider charges for; 0 where it does not say.
	Tokens int64
	// Model is the model as the provider names it.
	Model string
	// Fallbacks are the indices of texts that the model cannot read and that were
	// embedded by their characters instead. Only the built-in model has any.
	Fallbacks []int
}

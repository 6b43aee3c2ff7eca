package embedder

// Measure returns a function that tells how many tokens of a text are paid for in a space, and
// whether the text is longer than its model takes: then that is as much as is left of it. The
// count is exact where the model's tokens can be counted, else an estimate.
func (c Config) Measure(space Space) (func(text string) (tokens int, oversize bool), error) {
	l, err := c.limitOf(space.Model)
	if err != nil {
		return nil, err
	}
	return func(text string) (int, bool) {
		text = space.Prefix + text
		if l.codec == nil {
			return estimate(text[:min(len(text), l.bytes)]), len(text) > l.bytes
		}
		n, err := l.codec.Count(text)
		if err != nil {
			n = estimate(text)
		}
		return min(n, l.tokens), n > l.tokens
	}, nil
}

// Price returns what a million tokens of the model cost, in Config's currency: known is false
// where nobody has said so.
func (c Config) Price(model string) (perMillion float64, known bool) {
	_, known = ListPrice(model)
	return c.priceOf(model), known || c.PricePerMillion >= 0
}

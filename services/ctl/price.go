package main

import "path"

// listPrices are OpenAI's in US dollars a million tokens, without its batch discount.
// What runs on one's own machine costs nothing.
var listPrices = map[string]float64{
	"text-embedding-3-large": 0.13,
	"text-embedding-3-small": 0.02,
	"text-embedding-ada-002": 0.10,
	"use-lite":               0,
}

// priceOf returns the price of a model's tokens, by its name with or without a vendor
// before it. known is false for others: a guess would be taken for a promise.
func priceOf(model string) (perMillion float64, known bool) {
	perMillion, known = listPrices[path.Base(model)]
	return perMillion, known
}

// Package weaviate keeps items in Weaviate: it makes and checks collections, reads and writes
// the states of items, and searches.
//
// It owns the layout of an object (which property holds which part of an item's state), the two
// collections that an item can be in, and what Weaviate's errors mean. It never decides which
// state is the newer one, never retries, and never creates a collection except in Create.
//
//	Product ──alias──▶ Product_g1        complete items: found by searches
//	                   Product_g1_side   tombstones, items without a vector, marks
//
// Schema and aliases go over REST with the official client; reads, writes and searches over a
// gRPC connection of our own, because the client's has unverified TLS, no room for tracing, and
// drops property types that it does not know.
package weaviate

// Package hazards holds the tests that hurt Weaviate, or the way to it, in the midst of a load: the
// real write service, the real server, records of both lanes. Afterwards every item is read and
// searched for by its own vector, and a table shows what was lost.
//
//	vectors.live, vectors.bulk ─▶ freshet-write ─▶ (naive) ─▶ proxy ─▶ Weaviate
//
// The same cases with a rule of write left out, planted on the wire, must show losses: a table of
// zeros alone would prove nothing.
package hazards

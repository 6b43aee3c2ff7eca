// Package e2e tests the whole path with the three real processes: freshet-ingest,
// freshet-embed and freshet-write as they are built, over a real Kafka protocol, into
// a real Weaviate.
//
//	test ─▶ broker ─▶ ingest ─▶ embed ─▶ write ─▶ Weaviate ─▶ test
//	          ▲ kill -9, restart ▲────────▲─────────▲
//
// It owns what only shows between processes: kills, restarts, redeliveries, several
// members of a group. It holds tests only, and never what a package below it can show
// alone.
package e2e

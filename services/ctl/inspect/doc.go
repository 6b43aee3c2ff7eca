// Package inspect answers questions about a running installation: why an item is as old as it is, and how the stages
// are. It serves `freshet why`, `freshet status`, `freshet dlq`, `freshet selftest` and the console.
//
//	Kafka: groups, topics, dead letters, cost ledger ─┐
//	Weaviate: the item's state ──────────────────────┼─▶ facts ─▶ causes
//	the services' admin ports: /metrics, /readyz ────┘
//
// It only reads: it joins no group, commits nothing and needs no tracing back end. What cannot be reached is an entry of
// Unknown in the answer, never a reason to withhold the rest; what a bound kept it from looking at is said there, too.
// Causes are decided in verdict.go, from facts alone; causes.go has what is said of each, and what to do.
package inspect

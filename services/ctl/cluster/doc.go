// Package cluster tests write on a Weaviate of three nodes that has three copies of everything, while its nodes are
// killed and brought back one after the other.
//
//	test ─▶ kfake ─▶ write ─▶ node 1 ─┬─▶ node 2 ◀─┬─ test
//	                                  └─▶ node 3 ◀─┘
//
// It owns what only shows where copies differ. It holds tests only.
package cluster

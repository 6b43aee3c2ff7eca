// Package local runs the real servers that Freshet works with, Weaviate, Apache Kafka, Redis and a schema registry, as
// children of this process: for `freshet dev` and for integration tests. A test that alone needs another one describes it
// (Description).
//
// It owns their settings, ports, data folder and end. A server is started from the cache that `make servers` fills, and
// it never outlives this process: on Linux the kernel kills it when this process dies, however that happens. The package
// never downloads or builds anything, and never touches a process that it did not start.
//
//	cache ──▶ start (free ports, random key) ──▶ ready ──▶ Kill, Restart … ──▶ Stop (and remove a temporary folder)
package local

// Package bench measures Freshet against floors of the same run: what the broker, the
// index or the provider gives to a program that does nothing but ask it.
//
//	stage    a handler that does nothing     a copy loop on the same broker
//	ingest   Debezium changes → documents    the same; items over HTTP: a bare client
//	embed    documents → vectors             full requests to the same provider, or its limits
//	write    vectors → Weaviate              the same batches, sent by a bare client
//	e2e      change → searchable             provider, put and search, one by one
//	builtin  what the built-in model finds   chance
//
// The services run as in production, inside this process, against servers that it starts
// from the cache. A ratio says something on any machine; a figure without its floor says as
// much of the machine as of Freshet. It is a test's binary, which `make bench` runs: nobody
// can measure so without the clone. It takes half a minute to four minutes a benchmark.
package bench

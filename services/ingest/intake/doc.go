// Package intake takes changes over HTTP: items a row a line, or events as a producer would write them.
//
//	request → client known? → body (limits, gzip, zstd) → each line tried → Kafka, all replicas → 200
//
// It is a producer like any other: it writes the lines to the topic of a pipeline's source, from where the stage reads
// them, so that it knows of no version and no document. A line that would become a dead letter is not written, and the
// answer names it. It owns no order either: where a client may send a change twice, the pipeline's source.order names the
// column that has it (seq).
//
// It never answers 200 before Kafka has acknowledged; any other answer lets the client send the request again.
package intake

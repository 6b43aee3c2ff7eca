// Package stage runs one step of the pipeline: it reads a topic, has a Handler decide the fate of each record, and sees
// to it that the fate comes true before the record counts as done. A service supplies Decode, Handler and Encode, and
// nothing of it knows Kafka.
//
//	        ┌────────────────────────── one worker a partition ───────────────────────────┐
//	poll ─▶ │ gather ─▶ decode ─▶ attempt(Handle) ─▶ settle ─────────────────────▶ mark    │ ─▶ commit
//	        │              │            ▲  │           │ next topic acknowledged           │
//	        │              │            └──┘ retry,    │ then dead letter acknowledged     │
//	        │              └─ not decodable ─▶ reject ─┘                                   │
//	        └──────────────────────────────────────────────────────────────────────────────┘
//
// # Why a rebalance or a crash loses nothing
//
//	assigned ─▶ begun ─▶ working ─▶ revoked or stopped: halt ─▶ drain ─▶ disown: gone ─▶ commit
//	                       ├──────▶ lost:               halt ──────────▶ disown: gone
//	                       └──────▶ the process ends: nothing more happens
//
// What is committed is finished, at any moment:
//
//  1. A mark is in memory and a commit in Kafka, and no commit is beyond the mark. What has no commit is read from its
//     first record.
//  2. A record is marked when, and only when, everything that it caused is acknowledged: outputs and then dead letters
//     by all in-sync replicas, and, where the handler itself writes, its calls by their target, which it says by
//     returning. The handler of write does both. What is skipped causes nothing, and is marked with its batch. Batches
//     of a partition may be with the handler side by side, but they settle and are marked one after the other: one that
//     is quicker waits. So marks are contiguous, and an item's outputs leave in the order of its inputs.
//  3. However a partition goes, "gone" is set under the mutex that guards the mark, and nothing is marked after it: a
//     late mark would pass records that the next owner has not finished. The flag belongs to one stay of a partition.
//     One that returns gets a new worker, which begins when the one before has returned.
//  4. Gone comes before the last commit, and a revoke returns only after it, so that Kafka gives the partition away
//     after that. A lost partition is not committed at all: it may be another's already.
//  5. A member that slept through its session does not know that it was put out. Its commits are refused: they name a
//     generation that is over. Its other calls are not; see lease.go and doubt.go.
//
// What is finished and not committed is done once more: delivery is at least once, and the next stage must bear it. So
// a commit that fails costs a repetition, not a record. In doubt a partition marks nothing, so its commits have notes
// and no progress.
//
// A revoke waits for the batches in flight, for up to Settings.Drain, which is shorter than Kafka's patience with a
// rebalance. What is not finished by then is cancelled, not marked, and read again. That also ends a retry; a handler
// that ignores it holds up no revoke, only the partition's return to this process. PollRecords waits meanwhile
// (BlockRebalanceOnPoll), so the other partitions work off what is queued. In write's group there are no others: it is
// eager, and all its partitions are revoked at each rebalance.
//
// What a handler cannot finish now it may leave for later (later.go): everything holds but that the partition goes on
// meanwhile, that a commit's note names what is not finished before its offset, and that what follows may leave behind
// outputs of later inputs.
//
// # When offsets are committed
//
//   - Before the group has members: where each partition without a commit begins (kafka.PinStart), or retention moves
//     it.
//   - When work begins: the offset where it does, with a note (note.go). This one goes backwards where a Keeper's Start
//     says so (keep.go), or the last one does, where the partition goes before work begins.
//   - Before and after each record that is worked on alone, with a note.
//   - Each second: what is marked. When something was finished that had been left for later: with the note of that.
//   - At a revoke and at a stop, also a fatal one: what is marked, with a note of how the partition was left.
//
// What a failure does stands in attempt.go, a topic that cannot be read in storm.go.
package stage

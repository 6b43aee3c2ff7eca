// Command freshet-write moves embedded documents into Weaviate:
//
//	freshet.vectors.live, freshet.vectors.bulk ─▶ decode ─▶ writer.Handle ─▶ Weaviate
//	                                                └────────────┴─▶ freshet.deadletters
//
// Its pipeline stands in writer.Run, so that `freshet dev` runs the very same one.
package main

import (
	"os"
	"runtime/debug"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/write/writer"
)

func main() {
	// Its heap is vectors on their way, in which a collection has nothing to look for: it may
	// come twice as often, and a quarter of the memory is free.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	service.Main("freshet-write", writer.Run)
}

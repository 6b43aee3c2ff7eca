// Command freshet-write moves embedded documents into Weaviate:
//
//	freshet.vectors.live, freshet.vectors.bulk ─▶ decode ─▶ writer.Handle ─▶ Weaviate
//	                                                └────────────┴─▶ freshet.deadletters
//
// Its pipeline stands in writer.Run, so that `freshet dev` runs the very same one.
package main

import (
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/write/writer"
)

func main() {
	service.CollectOften()
	service.Main("freshet-write", writer.Run)
}

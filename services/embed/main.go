// Command freshet-embed turns documents into vectors:
//
//	freshet.documents.live ─▶ embedder.Handle ─▶ freshet.vectors.live
//	freshet.documents.bulk ─▶  │   │   │      ─▶ freshet.vectors.bulk
//	                           │   │   └───────▶ freshet.deadletters
//	          Weaviate ◀───────┘   └───────▶ provider
//	   (vectors it already has)
//
// Its pipeline stands in embedder.Run, so that `freshet dev` runs the very same one.
package main

import (
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/embed/embedder"
)

func main() {
	service.CollectOften()
	service.Main("freshet-embed", embedder.Run)
}

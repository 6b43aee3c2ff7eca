// Command freshet-ingest turns the changes of producers into documents:
//
//	source topics ─▶ ingester.Handle ─▶ freshet.documents.live
//	                        └─────────▶ freshet.deadletters
//
// Its pipeline stands in ingester.Run, so that `freshet dev` runs the very same one.
package main

import (
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

func main() { service.Main("freshet-ingest", ingester.Run) }

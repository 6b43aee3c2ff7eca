package writer_test

import "github.com/freshet-io/freshet/services/write/writer/indextest"

// What the acceptance suite of indexes is made of serves the other tests, too.
const (
	space      = indextest.Space
	dimensions = indextest.Dimensions
	collection = indextest.Collection
)

var (
	config   = indextest.Config
	itemOf   = indextest.ItemOf
	vectorOf = indextest.VectorOf
	cosine   = indextest.Cosine
	of       = indextest.Of
	row      = indextest.Row
	pending  = indextest.Pending
	remove   = indextest.Delete
	failed   = indextest.Failed
	late     = indextest.Late
	bulk     = indextest.Bulk
)

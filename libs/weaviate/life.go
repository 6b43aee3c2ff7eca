package weaviate

import (
	"context"
	"net/http"
	"strconv"

	"github.com/weaviate/weaviate/entities/models"
)

// Life tells one life of the server from another: it changes with each start of a single node, and with each election
// of a leader where there are several, so with every death of most of them. "" where that is not known: no answer within
// 5 s, or a key without the right to read the cluster. It is the term of Weaviate's raft, which is synced to the disk
// before a term begins, and so survives what the rest of the last moments does not.
func (c *Client) Life(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, shardsLimit)
	defer cancel()
	var cluster models.ClusterStatisticsResponse
	if c.call(ctx, http.MethodGet, "cluster/statistics", nil, &cluster) != nil {
		return ""
	}
	newest := 0
	for _, node := range cluster.Statistics {
		if node.Raft != nil {
			term, _ := strconv.Atoi(node.Raft.Term)
			newest = max(newest, term)
		}
	}
	if newest == 0 {
		return ""
	}
	return strconv.Itoa(newest)
}

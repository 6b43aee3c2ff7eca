package openai

import (
	"context"
	"net"
)

// Dial has the client connect by dial.
func (c *Client) Dial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	c.pool.DialContext = dial
}

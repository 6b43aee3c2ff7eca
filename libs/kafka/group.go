package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// Groups are the names of the stages' consumer groups. Each service knows all three: a stage waits for the next one's group.
type Groups struct {
	Ingest string `envconfig:"INGEST_GROUP" desc:"consumer group of ingest, on the source cluster; the topic prefix and -ingest if empty"`
	Embed  string `envconfig:"EMBED_GROUP" desc:"consumer group of embed's live lane, the bulk lane's has -bulk behind it; the topic prefix and -embed if empty"`
	Write  string `envconfig:"WRITE_GROUP" desc:"consumer group of write; the topic prefix and -write if empty"`
}

// Named returns the groups with the names that they have where none is set.
func (g Groups) Named(t Topics) Groups {
	return Groups{cmp.Or(g.Ingest, t.Prefix+"-ingest"), cmp.Or(g.Embed, t.Prefix+"-embed"), cmp.Or(g.Write, t.Prefix+"-write")}
}

// EmbedBulk returns that of embed's bulk lane.
func (g Groups) EmbedBulk() string { return g.Embed + "-bulk" }

// GroupProtocol is the protocol by which the members of a group share its partitions.
type GroupProtocol string

const (
	// Classic has one of the members share the partitions out, and all of them stop what
	// they do for a moment to hear of it. The zero value means it too.
	Classic GroupProtocol = "classic"
	// NextGeneration (KIP-848) has the broker share them out: only members whose
	// partitions move notice. Session and heartbeat are the broker's settings then.
	NextGeneration GroupProtocol = "consumer"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *GroupProtocol) UnmarshalText(text []byte) error {
	switch v := GroupProtocol(text); v {
	case Classic, NextGeneration:
		*p = v
		return nil
	default:
		return fmt.Errorf("must be %s or %s", Classic, NextGeneration)
	}
}

// nextGeneration tells whether the group uses the new protocol. A co-partitioned one
// does not: the broker's range assignor aims at the same shares, but partitions move
// one by one there, and nothing promises that those of one number move together. The
// classic range balancer has all members give up everything before anyone gets anything.
func (g GroupOptions) nextGeneration() bool {
	return g.Protocol == NextGeneration && !g.CoPartitioned
}

func (g GroupOptions) balancing() []kgo.Opt {
	switch {
	case g.nextGeneration():
		// franz-go's way to name the broker's assignor "uniform", which keeps partitions
		// where they are.
		return []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())}
	case g.CoPartitioned:
		return []kgo.Opt{kgo.Balancers(kgo.RangeBalancer())}
	default:
		return []kgo.Opt{kgo.Balancers(kgo.CooperativeStickyBalancer())}
	}
}

// requireNextGeneration asks the group's coordinator whether it speaks the protocol.
// Where it does not, franz-go would fall back to the classic protocol without a word,
// and with a balancer that stops every member at each rebalance.
func (g GroupOptions) requireNextGeneration(ctx context.Context, c Config, log *slog.Logger) error {
	client, err := c.Connect(ctx, log)
	if err != nil {
		return err
	}
	defer client.Close()
	return service.AwaitDone(ctx, log, "the group's coordinator", func(ctx context.Context) error { return g.probe(ctx, client) })
}

func (g GroupOptions) probe(ctx context.Context, client *kgo.Client) error {
	const join = int16(kmsg.ConsumerGroupHeartbeat)
	versions, err := kadm.NewClient(client).ApiVersions(ctx)
	if err != nil {
		return fmt.Errorf("asking what the brokers can: %w", err)
	}
	tooOld := fault.Halt("FRESHET_GROUP_PROTOCOL is %s, and the brokers do not serve it: it needs Kafka 4.0 (better 4.3) with group.coordinator.rebalance.protocols containing consumer; or set %s", NextGeneration, Classic)
	for _, broker := range versions {
		// One that is away keeps nobody from starting: the coordinator has the last word.
		if most, ok := broker.KeyMaxVersion(join); broker.Err == nil && (!ok || most < 1) {
			return tooOld
		}
	}
	// A broker may know the request and be told not to serve it. Leaving a group that one
	// is not in changes nothing.
	leave := kmsg.NewConsumerGroupHeartbeatRequest()
	leave.Group, leave.MemberID, leave.MemberEpoch = g.Group, "freshet-probe", -1
	answer, err := leave.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("asking for group %s: %w", g.Group, err)
	}
	if errors.Is(kerr.ErrorForCode(answer.ErrorCode), kerr.UnsupportedVersion) {
		return tooOld
	}
	return nil
}

package kafka

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet-io/freshet/libs/record"
)

// Control is what the control topic says: the last record of each key.
type Control struct {
	Topics  map[string]*record.TopicIdentity
	Recipes map[string]*record.Recipe // by hash, in hexadecimal
	Rewinds map[string]uint64         // by source
	// Checkpoints are of backfills, by job and range.
	Checkpoints map[string]*record.Checkpoint

	client *kgo.Client
	topic  string
}

// ReadControl reads the whole control topic. It is small: a record a topic, recipe
// and generation.
func ReadControl(ctx context.Context, client *kgo.Client, t Topics) (*Control, error) {
	c := &Control{
		Topics: map[string]*record.TopicIdentity{}, Recipes: map[string]*record.Recipe{},
		Rewinds: map[string]uint64{}, Checkpoints: map[string]*record.Checkpoint{},
		client: client, topic: t.Control(),
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, c.topic)
	end, err := listed(ends, c.topic, err)
	if err != nil || end == 0 {
		return c, err
	}
	return c, readLog(ctx, client, c.topic, kgo.NewOffset().AtStart(), end, c.take)
}

func (c *Control) take(r *kgo.Record) error {
	if r.Value == nil {
		return nil
	}
	control, err := record.DecodeControl(r.Value)
	if err != nil {
		return err
	}
	switch x := control.GetRecord().(type) {
	case *record.Control_Topic:
		c.Topics[x.Topic.GetTopic()] = x.Topic
	case *record.Control_Recipe:
		c.Recipes[hex.EncodeToString(x.Recipe.GetHash())] = x.Recipe
	case *record.Control_Rewind:
		c.Rewinds[x.Rewind.GetSource()] = x.Rewind.GetNumber()
	case *record.Control_Checkpoint:
		c.Checkpoints[key(control)] = x.Checkpoint
	}
	return nil
}

// key returns the key under which the control topic keeps only the last record.
func key(control *record.Control) string {
	switch x := control.GetRecord().(type) {
	case *record.Control_Topic:
		return "topic/" + x.Topic.GetTopic()
	case *record.Control_Recipe:
		return fmt.Sprintf("recipe/%x", x.Recipe.GetHash())
	case *record.Control_Generation:
		return fmt.Sprintf("generation/%s/%d", x.Generation.GetCollection(), x.Generation.GetNumber())
	case *record.Control_Checkpoint:
		return "checkpoint/" + x.Checkpoint.GetJob() + "/" + x.Checkpoint.GetRange()
	case *record.Control_Rewind:
		return "rewind/" + x.Rewind.GetSource()
	}
	return ""
}

// Put writes a record and returns when it is acknowledged.
func (c *Control) Put(ctx context.Context, control *record.Control) error {
	value, err := control.Encode()
	if err != nil {
		return fmt.Errorf("encoding a control record: %w", err)
	}
	r := &kgo.Record{Topic: c.topic, Partition: 0, Key: []byte(key(control)), Value: value}
	if err := c.client.ProduceSync(ctx, r).FirstErr(); err != nil {
		return fmt.Errorf("writing control record %s: %w", r.Key, err)
	}
	return c.take(r)
}

// PutRecipe writes a recipe where it is not known yet.
func (c *Control) PutRecipe(ctx context.Context, hash []byte, body string) error {
	if c.Recipes[hex.EncodeToString(hash)] != nil {
		return nil
	}
	return c.Put(ctx, &record.Control{Record: &record.Control_Recipe{Recipe: &record.Recipe{Hash: hash, Body: body}}})
}

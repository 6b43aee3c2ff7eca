package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// Redis names a stream, and says what an entry of it is.
type Redis struct {
	Stream string `yaml:"stream"` // the stream's key
	// Value is the field that holds a change in the pipeline's format. If empty, the fields of an entry are a row's columns.
	Value string `yaml:"value"`
	Key   string `yaml:"key"` // the field that holds the change's key, if there is one; only beside Value
}

// Feed is a stream and the topic that its entries are passed on to.
type Feed struct {
	Redis

	Topic string
}

// Feeds returns the streams of all pipelines, in their order.
func (f *File) Feeds() []Feed {
	var feeds []Feed
	for _, p := range f.Pipelines {
		if p.Source.Redis != nil {
			feeds = append(feeds, Feed{*p.Source.Redis, p.Source.Topics[0]})
		}
	}
	return feeds
}

// Neighbour returns the name of a key that a Redis cluster keeps in the same place as the stream: the part of a name in
// braces decides, or else all of it.
func (r Redis) Neighbour(suffix string) string {
	if r.tagged() {
		return r.Stream + suffix
	}
	return "{" + r.Stream + "}" + suffix
}

func (r Redis) tagged() bool {
	_, rest, _ := strings.Cut(r.Stream, "{")
	return strings.Index(rest, "}") > 0
}

func (c *checker) checkRedis(s Source, at string) {
	r := s.Redis
	switch {
	case r == nil:
	case r.Stream == "":
		c.at(at+".stream", "is empty: it is the key of a stream")
	case strings.ContainsAny(r.Stream, "{}") && !r.tagged():
		c.at(at+".stream", "%q has a brace without its other half, or none within: Redis could not keep the reader's lease beside it", r.Stream)
	case len(s.Topics) != 1 || isPattern(s.Topics[0]):
		c.at(at, "needs one topic by its name, to pass the entries on to")
	case r.Key != "" && r.Value == "":
		c.at(at+".key", "is for entries that have a field with the change: name that in value")
	case r.Value == "" && s.Format.ofEvents():
		c.at(at+".value", "is missing: without it the fields of an entry are columns, which is format rows; name the field that has the change of %s", s.Format)
	}
}

// checkFeeds refuses a stream that is named twice: its entries would be in the topics twice, and two streams of one topic,
// of which nobody knows the order. HTTP must not write such a topic either: it has one partition to ingest.
func (c *checker) checkFeeds(pipelines []Pipeline) {
	streams, topics := map[string]string{}, map[string]string{}
	for i, p := range pipelines {
		r := p.Source.Redis
		if r == nil || len(p.Source.Topics) != 1 {
			continue
		}
		at := fmt.Sprintf("pipelines[%d].source.redis", i)
		if other, twice := streams[r.Stream]; twice {
			c.at(at+".stream", "%s is read for pipeline %s already, which is enough: give this one the topic alone", r.Stream, other)
		} else if other, twice := topics[p.Source.Topics[0]]; twice {
			c.at(at, "the topic has the stream of pipeline %s already: give each stream a topic of its own", other)
		} else if j := slices.IndexFunc(pipelines, func(o Pipeline) bool { return o.Source.HTTP && o.Source.Reads(p.Source.Topics[0]) }); j >= 0 {
			c.at(at, "the topic takes changes over HTTP for pipeline %s: give the stream a topic of its own", pipelines[j].Name)
		}
		streams[r.Stream], topics[p.Source.Topics[0]] = p.Name, p.Name
	}
}

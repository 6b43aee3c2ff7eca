package pipeline

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// topicName is what Kafka takes as a topic's name, with * for any letters.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._*-]{1,249}$`)

// isPattern reports whether an entry of topics stands for all topics of names like it.
func isPattern(topic string) bool { return strings.Contains(topic, "*") }

// Reads reports whether the source has the topic, by its name or by a pattern.
func (s Source) Reads(topic string) bool {
	return slices.ContainsFunc(s.Topics, func(name string) bool {
		matches, err := path.Match(name, topic) // a loaded file has none of its other signs
		return err == nil && matches
	})
}

// Reads reports whether a pipeline reads the topic. Nothing stands for the topics of the pipeline itself, whose names begin with
// own, and those of Kafka.
func (f *File) Reads(topic, own string) bool {
	return !strings.HasPrefix(topic, "__") && !strings.HasPrefix(topic, own) &&
		slices.ContainsFunc(f.Pipelines, func(p Pipeline) bool { return p.Source.Reads(topic) })
}

// as returns how the source reads its topics: the format, and what belongs to it.
func (s Source) as() string {
	if s.Prefix == "" {
		return string(s.Format)
	}
	return string(s.Format) + " with prefix " + s.Prefix
}

// Topics returns the source topics of all pipelines that are named, sorted, each once. What
// patterns stand for is not in it.
func (f *File) Topics() []string {
	return f.entries(func(_ Source, topic string) bool { return !isPattern(topic) })
}

// Patterns returns the patterns of source topics, sorted, each once.
func (f *File) Patterns() []string {
	return f.entries(func(_ Source, topic string) bool { return isPattern(topic) })
}

// HTTPTopics returns the topics that changes brought over HTTP are written to, sorted, each once.
func (f *File) HTTPTopics() []string {
	return f.entries(func(s Source, _ string) bool { return s.HTTP })
}

func (f *File) entries(wanted func(s Source, topic string) bool) []string {
	var topics []string
	for _, p := range f.Pipelines {
		for _, topic := range p.Source.Topics {
			if wanted(p.Source, topic) {
				topics = append(topics, topic)
			}
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// CheckTopic tells where pipelines contradict each other in how they read a topic: patterns
// may meet in one that the file does not name.
func (f *File) CheckTopic(topic string) error {
	var first *Pipeline
	for i := range f.Pipelines {
		p := &f.Pipelines[i]
		switch {
		case !p.Source.Reads(topic):
		case first == nil:
			first = p
		case first.Source.as() != p.Source.as():
			return fmt.Errorf("pipeline %s reads topic %s as %s, pipeline %s as %s", first.Name, topic, first.Source.as(), p.Name, p.Source.as())
		}
	}
	return nil
}

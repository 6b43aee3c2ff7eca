// Package access says what each service may do in Kafka: the least that it works with, as access control lists.
//
// It owns the list and its forms, and never asks a broker. A test runs the services and the selftest with these rights and no
// others, and compares them with what the broker's authorizer was asked for.
package access

import (
	"cmp"
	"slices"
	"strings"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
)

// The roles, each of which may have a user of its own.
const (
	Topics   = "topics" // `freshet topics apply` and check
	Ingest   = "ingest"
	Embed    = "embed"
	Write    = "write"
	Selftest = "selftest" // `freshet selftest`, which `helm test` runs
)

// Roles returns all of them, in the order in which they are needed.
func Roles() []string { return []string{Topics, Ingest, Embed, Write, Selftest} }

// The kinds of what a right is for, by Kafka's names. No right for the whole cluster is needed: producers are idempotent by
// their right to write, and topics are created by their names.
const (
	topic         = "topic"
	group         = "group"
	transactionID = "transactional-id"
)

// Operations, by Kafka's names. READ and WRITE imply DESCRIBE.
const (
	create    = "CREATE"
	describe  = "DESCRIBE"
	configure = "DESCRIBE_CONFIGS"
	read      = "READ"
	write     = "WRITE"
)

// Resource is what a right is for.
type Resource struct {
	Role     string `json:"role"`
	Kind     string `json:"kind"` // topic, group or transactional-id
	Name     string `json:"name"`
	Prefixed bool   `json:"prefixed,omitempty"` // all whose names begin so
	Source   bool   `json:"source,omitempty"`   // on the cluster of the source topics, where that is another one
}

// Grant lets a role do something.
type Grant struct {
	Resource

	Operations []string `json:"operations"` // sorted; what another one of them implies is left out
}

// Installation is what the rights depend on.
type Installation struct {
	File   *pipeline.File
	Topics kafka.Topics
	Groups kafka.Groups // as they are set
	Apart  bool         // the source topics are on a cluster of their own
	Canary []string     // the source topics that the selftest writes to
}

// Grants returns what the roles need, by role, kind and name.
func (in Installation) Grants() []Grant {
	in.Groups = in.Groups.Named(in.Topics)
	l := list{Installation: in, operations: map[Resource][]string{}}
	for _, role := range []string{Topics, Ingest, Embed, Write} {
		l.role = role
		// What each looks at when it starts: that the topics are those that versions were counted in, and keep what they are given.
		l.allow(topic, describe, l.all()...)
		l.allow(topic, configure, l.checked()...)
		l.allow(topic, read, in.Topics.Control())
	}
	l.topics()
	l.ingest()
	l.embed()
	l.write()
	l.selftest()
	return l.sorted()
}

// list gathers operations by resource; role is who they are for at present.
type list struct {
	Installation

	role       string
	operations map[Resource][]string
}

func (l *list) allow(kind, operation string, names ...string) {
	for _, name := range names {
		l.add(Resource{Role: l.role, Kind: kind, Name: name}, operation)
	}
}

// allowSource is allow on the cluster of the source topics. A pattern becomes what its names begin with, since Kafka knows
// no other patterns.
func (l *list) allowSource(kind, operation string, names ...string) {
	for _, name := range names {
		before, _, pattern := strings.Cut(name, "*")
		l.add(Resource{Role: l.role, Kind: kind, Name: before, Prefixed: pattern, Source: l.Apart}, operation)
	}
}

func (l *list) add(r Resource, operation string) {
	if !slices.Contains(l.operations[r], operation) {
		l.operations[r] = append(l.operations[r], operation)
	}
}

func (l *list) topics() {
	l.role = Topics
	l.allow(topic, create, l.all()...)
	l.allow(topic, write, l.Topics.Control())
	l.allowSource(topic, create, l.File.HTTPTopics()...)
	l.allowSource(topic, describe, l.File.HTTPTopics()...)
}

func (l *list) ingest() {
	l.role = Ingest
	l.allowSource(topic, read, l.sources()...)
	l.allowSource(group, read, l.Groups.Ingest)
	l.allowSource(topic, write, l.File.HTTPTopics()...)
	l.allowSource(topic, configure, l.File.HTTPTopics()...)
	for _, feed := range l.File.Feeds() {
		l.allowSource(topic, write, feed.Topic)
		l.allowSource(topic, configure, feed.Topic)
		l.allowSource(transactionID, write, l.Topics.Prefix+"-redis-"+feed.Stream)
	}
	l.allow(topic, write, l.Topics.DocumentsLive(), l.Topics.DeadLetters(), l.Topics.Control())
	l.allow(group, describe, l.Groups.Embed)
}

func (l *list) embed() {
	l.role = Embed
	l.allow(topic, read, l.Topics.DocumentsLive(), l.Topics.DocumentsBulk(), l.Topics.Costs())
	l.allow(group, read, l.Groups.Embed, l.Groups.EmbedBulk())
	l.allow(topic, write, l.Topics.VectorsLive(), l.Topics.VectorsBulk(), l.Topics.DeadLetters(), l.Topics.Costs())
	l.allow(group, describe, l.Groups.Write)
}

func (l *list) write() {
	l.role = Write
	l.allow(topic, read, l.Topics.VectorsLive(), l.Topics.VectorsBulk())
	l.allow(group, read, l.Groups.Write)
	// A text that is merged of two rows is embedded by way of the documents.
	l.allow(topic, write, l.Topics.DocumentsLive(), l.Topics.DeadLetters())
	l.allow(group, describe, l.Groups.EmbedBulk())
}

// selftest writes a canary, and reads all that `freshet why` does to say where it is.
func (l *list) selftest() {
	l.role = Selftest
	l.allowSource(topic, write, l.Canary...)
	l.allowSource(topic, read, l.sources()...)
	// Kafka leaves groups that may not be described out of its list without a word, and others that read the topic must be seen.
	l.add(Resource{Role: l.role, Kind: group, Name: "*", Source: l.Apart}, describe)
	if l.Apart {
		l.allow(group, describe, l.Groups.Embed, l.Groups.EmbedBulk(), l.Groups.Write)
	}
	l.allow(topic, read, l.all()...)
}

// sources returns the source topics, and patterns of them.
func (l *list) sources() []string { return append(l.File.Topics(), l.File.Patterns()...) }

// all returns the pipeline's topics.
func (l *list) all() []string { return append(l.checked(), l.Topics.Control(), l.Topics.Costs()) }

// checked returns those whose settings could lose records.
func (l *list) checked() []string {
	t := l.Topics
	return []string{t.DocumentsLive(), t.DocumentsBulk(), t.VectorsLive(), t.VectorsBulk(), t.DeadLetters()}
}

func (l *list) sorted() []Grant {
	var grants []Grant
	for r, operations := range l.operations {
		if slices.Contains(operations, read) || slices.Contains(operations, write) {
			operations = slices.DeleteFunc(operations, func(o string) bool { return o == describe })
		}
		slices.Sort(operations)
		grants = append(grants, Grant{r, operations})
	}
	roles, kinds := Roles(), []string{topic, group, transactionID}
	slices.SortFunc(grants, func(a, b Grant) int {
		return cmp.Or(
			cmp.Compare(slices.Index(roles, a.Role), slices.Index(roles, b.Role)),
			cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)),
			cmp.Compare(a.Name, b.Name))
	})
	return grants
}

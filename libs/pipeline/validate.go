package pipeline

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const (
	oversizeTruncate   = "truncate"
	oversizeDeadletter = "deadletter"

	parseJSON = "json"

	maxDimensions = 65535
	maxScale      = 1000
)

var (
	providers = []string{"openai", "builtin", "hash"}
	formats   = []Format{Debezium, Rows, Canal, Maxwell, Auto}
	units     = []string{"d", "s", "ms", "us", "ns", "auto"}
	types     = []Type{
		TypeText, TypeNumber, TypeInt, TypeBool, TypeDate, TypeUUID,
		TypeTexts, TypeNumbers, TypeInts, TypeBooleans, TypeDates,
	}
)

func (c *checker) checkFile(f *File) {
	if f.APIVersion != APIVersion {
		c.at("apiVersion", "%q is not %s", f.APIVersion, APIVersion)
	}
	c.checkSpace(f.Space)
	if len(f.Pipelines) == 0 {
		c.at("pipelines", "there is none")
	}
	for i := range f.Pipelines {
		c.checkPipeline(&f.Pipelines[i], fmt.Sprintf("pipelines[%d]", i))
	}
	c.checkTogether(f.Pipelines)
	c.checkFeeds(f.Pipelines)
	c.checkCollections(f)
}

func (c *checker) checkSpace(s Space) {
	among(c, "space.provider", s.Provider, providers)
	if s.Provider == "openai" && s.Model == "" {
		c.at("space.model", "is missing")
	}
	if s.Dimensions < 1 || s.Dimensions > maxDimensions {
		c.at("space.dimensions", "%d is not between 1 and %d", s.Dimensions, maxDimensions)
	}
}

func (c *checker) checkPipeline(p *Pipeline, at string) {
	if !pipelineName.MatchString(p.Name) {
		c.at(at+".name", "%q is not made of small letters, digits, - and _", p.Name)
	}
	if err := CheckCollection(p.Collection); err != nil {
		c.at(at+".collection", "%v", err)
	}
	c.checkSource(p.Source, at+".source")
	c.checkID(p, at)
	c.checkText(p.Text, at+".text")
	unknown := func(path string) bool { return strings.HasPrefix(path, at+".when[") } // an operator, so that it lacks one
	if _, err := CompileConditions(p.When); err != nil && !slices.ContainsFunc(c.unknown, unknown) {
		c.each(at+".when", err)
	}
	c.checkProperties(p.Properties, at+".properties")
	if !(p.BudgetPerDay >= 0) { // also what is no number
		c.at(at+".budgetPerDay", "%g is negative; 0 sets no bound", p.BudgetPerDay)
	}
}

func (c *checker) checkSource(s Source, at string) {
	if len(s.Topics) == 0 {
		c.at(at+".topics", "there is none")
	}
	for i, topic := range s.Topics {
		switch {
		case topic == "":
			c.at(fmt.Sprintf("%s.topics[%d]", at, i), "is empty")
		case !topicName.MatchString(topic):
			c.at(fmt.Sprintf("%s.topics[%d]", at, i), "%q is no name of a topic: letters, digits, ., _ and -, and * for any of them", topic)
		case slices.Index(s.Topics, topic) < i:
			c.at(fmt.Sprintf("%s.topics[%d]", at, i), "%s is listed twice", topic)
		}
	}
	if strings.EqualFold(string(s.Format), "avro") { // how records are written, not what is in them
		c.at(at+".format", "Avro is no format: debezium or rows, with FRESHET_SCHEMA_REGISTRY_URL")
	} else {
		among(c, at+".format", s.Format, formats)
	}
	if s.Order != "" {
		c.checkColumn(s.Order, at+".order")
	}
	if s.Prefix != "" && s.Format.ofEvents() {
		c.at(at+".prefix", "is for rows only, the format is %s", s.Format)
	}
	c.checkRedis(s, at+".redis")
	if s.HTTP && (len(s.Topics) != 1 || isPattern(s.Topics[0])) {
		c.at(at+".http", "needs one topic by its name, to write to")
	}
	if s.Order != "" && s.Ordered {
		c.at(at+".ordered", "says that the topic has the order, and order that a column has it: one of them")
	}
}

// among wants one of the known words, and reports whether it is.
func among[T ~string](c *checker, at string, word T, known []T) bool {
	if slices.Contains(known, word) {
		return true
	}
	words := make([]string, len(known))
	for i, k := range known {
		words[i] = string(k)
	}
	c.at(at, "%q is not one of %s%s", word, strings.Join(words, ", "), suggest(string(word), words))
	return false
}

func (c *checker) checkID(p *Pipeline, at string) {
	if len(p.ID.From) == 0 {
		c.at(at+".id.from", "names no column")
	}
	for i, column := range p.ID.From {
		c.checkColumn(column, fmt.Sprintf("%s.id.from[%d]", at, i))
		if slices.Index(p.ID.From, column) < i {
			c.at(at+".id.from", "%s is listed twice", column)
		}
	}
	if p.Tenant != nil {
		c.checkColumn(p.Tenant.From, at+".tenant.from")
	}
}

// checkColumn wants a whole column: ids and tenants come from keys too.
func (c *checker) checkColumn(column, at string) {
	path, err := ParsePath(column)
	switch {
	case err != nil:
		c.at(at, "%v", err)
	case path.Rest != "":
		c.at(at, "%s is not a column; a dot within its name is written \\.", column)
	}
}

func (c *checker) checkText(t Text, at string) {
	if _, err := ParseTemplate(t.Template); err != nil {
		c.each(at+".template", err)
	}
	for i, field := range t.Require {
		if _, err := ParsePath(field); err != nil {
			c.at(fmt.Sprintf("%s.require[%d]", at, i), "%v", err)
		}
	}
	if t.Oversize != "" {
		among(c, at+".oversize", t.Oversize, []string{oversizeTruncate, oversizeDeadletter})
	}
}

func (c *checker) checkProperties(properties []Property, at string) {
	seen := map[string]bool{}
	hints := map[string]Property{}
	for i, p := range properties {
		at := fmt.Sprintf("%s[%d]", at, i)
		if err := CheckProperty(p.Name); err != nil {
			c.at(at+".name", "%v", err)
		} else if seen[p.Name] {
			c.at(at+".name", "%s is listed twice", p.Name)
		}
		seen[p.Name] = true
		c.checkProperty(p, at)
		path, err := p.Path()
		if err != nil {
			c.at(at+".from", "%v", err)
			continue
		}
		if path.Rest != "" || p.Unit == "" && p.Decimal == nil {
			continue
		}
		// A column is read once, for all that use it.
		if q, found := hints[path.Column]; found && (p.Unit != q.Unit || !reflect.DeepEqual(p.Decimal, q.Decimal)) {
			c.at(at, "column %s is declared with another unit or scale by %s", path.Column, q.Name)
		}
		hints[path.Column] = p
	}
}

func (c *checker) checkProperty(p Property, at string) {
	if !among(c, at+".type", p.Type, types) {
		return
	}
	c.checkIndexing(p, at)
	if p.Parse != "" && p.Parse != parseJSON {
		c.at(at+".parse", "%q is not json", p.Parse)
	}
	if p.Unit != "" && among(c, at+".unit", p.Unit, units) && p.Type.Elem() != TypeDate {
		c.at(at+".unit", "is for dates only")
	}
	switch {
	case p.Decimal == nil:
	case p.Decimal.Scale < 0 || p.Decimal.Scale > maxScale:
		c.at(at+".decimal.scale", "%d is not between 0 and %d", p.Decimal.Scale, maxScale)
	case !slices.Contains([]Type{TypeNumber, TypeInt, TypeText}, p.Type.Elem()):
		c.at(at+".decimal", "is for number, int and text only")
	}
}

func (c *checker) checkTogether(pipelines []Pipeline) {
	names := map[string]bool{}
	tenanted := map[string]Pipeline{}
	kinds, of := map[string]Property{}, map[string]int{}
	for i, p := range pipelines {
		at := fmt.Sprintf("pipelines[%d]", i)
		if names[p.Name] {
			c.at(at+".name", "%s is the name of two pipelines", p.Name)
		}
		names[p.Name] = true
		c.checkFormat(p, pipelines[:i], at)
		if q, found := tenanted[p.Collection]; found && (q.Tenant == nil) != (p.Tenant == nil) {
			c.at(at+".tenant", "pipelines %s and %s write %s, one with and one without tenants", q.Name, p.Name, p.Collection)
		}
		tenanted[p.Collection] = p
		for j, property := range p.Properties {
			key := p.Collection + "." + property.Name
			switch q, found := kinds[key]; {
			case !found || of[key] == i: // twice in one pipeline is told there
			case q.Type != property.Type:
				c.at(fmt.Sprintf("%s.properties[%d].type", at, j), "another pipeline of %s has %s as %s", p.Collection, q.Name, q.Type)
			case !sameIndexing(q, property):
				c.at(fmt.Sprintf("%s.properties[%d]", at, j), "another pipeline of %s has %s indexed otherwise", p.Collection, q.Name)
			}
			kinds[key], of[key] = property, i
		}
	}
}

// checkFormat wants one format for a topic that several pipelines read.
func (c *checker) checkFormat(p Pipeline, before []Pipeline, at string) {
	for _, q := range before {
		for _, topic := range append(slices.Clone(p.Source.Topics), q.Source.Topics...) {
			if q.Source.as() != p.Source.as() && q.Source.Reads(topic) && p.Source.Reads(topic) {
				c.at(at+".source.format", "pipeline %s reads %s as %s", q.Name, topic, q.Source.as())
				return
			}
		}
	}
}

// each reports the faults that were joined into one error.
func (c *checker) each(at string, err error) {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, e := range joined.Unwrap() {
			c.at(at, "%v", e)
		}
		return
	}
	c.at(at, "%v", err)
}

package weaviate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	officialfault "github.com/weaviate/weaviate-go-client/v4/weaviate/fault"
	"github.com/weaviate/weaviate/entities/models"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
)

// Create makes the two collections of a generation and their alias, as far as they are missing,
// and adds missing properties. It never changes or deletes what is there: where that differs, its
// error is Check's. An alias that points to another generation stays.
//
// Only the command that sets an installation up calls it: a service that made its collection by
// itself would hide that the index was lost.
func (c *Client) Create(ctx context.Context, spec CollectionSpec) error {
	if err := spec.Validate(); err != nil {
		return fault.Halt("creating a collection: %w", err)
	}
	for _, side := range []bool{false, true} {
		if err := c.createClass(ctx, spec, side); err != nil {
			return err
		}
	}
	class, err := c.resolve(ctx, spec.Name)
	if err != nil {
		return err
	}
	if class == "" {
		if err := c.call(ctx, http.MethodPost, "aliases", alias{Alias: spec.Name, Class: spec.Class()}, nil); err != nil {
			return fmt.Errorf("creating alias %s for %s: %w", spec.Name, spec.Class(), err)
		}
	}
	_, err = c.Check(ctx, spec)
	return err
}

func (c *Client) createClass(ctx context.Context, spec CollectionSpec, side bool) error {
	want, have, err := c.compare(ctx, spec, side)
	if err != nil {
		return err
	}
	if have == nil {
		err := c.schema.ClassCreator().WithClass(want).Do(ctx)
		return classifyREST("creating collection "+want.Class, err)
	}
	for _, p := range absentProperties(have, want) {
		err := c.schema.PropertyCreator().WithClassName(want.Class).WithProperty(p).Do(ctx)
		if err := classifyREST("adding property "+p.Name+" to "+want.Class, err); err != nil {
			return err
		}
	}
	return nil
}

// Check compares the collections of a generation with what they should be, and remembers spec for
// the calls that name it. Its error is fatal, one line that says what differs and what to do:
// nothing is created or changed. What differs and stops no service, settings of the index that do
// not decide what is found, is in the warnings, a line each that says what to do.
func (c *Client) Check(ctx context.Context, spec CollectionSpec) (warnings []string, err error) {
	if err := spec.Validate(); err != nil {
		return nil, fault.Halt("checking a collection: %w", err)
	}
	var there []*models.Class
	for _, side := range []bool{false, true} {
		want, have, err := c.checkClass(ctx, spec, side)
		if err != nil {
			return nil, err
		}
		there = append(there, have)
		warnings = append(warnings, warningsOf(have, want, spec, side)...)
	}
	main, side := there[0], there[1]
	id, _ := parseIdentity(main.Description)                                              // checkClass has read it
	if warning := mixing(main.Class, id.Recipes, spec.Recipes); warning != "" && !c.mix { // a search would compare the two
		return nil, fault.Halt("%s: run freshet rebuild, or allow mixing with FRESHET_WEAVIATE_MIX_TEMPLATES=true", warning)
	}
	class, err := c.resolve(ctx, spec.Name)
	if err != nil {
		return nil, err
	}
	if class == "" {
		return nil, fault.Halt("alias %s is missing in Weaviate at %s: run freshet topics apply", spec.Name, c.url)
	}
	t := traitsOf(main, spec.Settings.Vector)
	t.replicated = t.replicated || copies(side) > 1
	c.bind(spec, t)
	return warnings, nil
}

// checkClass returns the class that there must be and the one that is there, which fits.
func (c *Client) checkClass(ctx context.Context, spec CollectionSpec, side bool) (want, have *models.Class, err error) {
	want, have, err = c.compare(ctx, spec, side)
	if err != nil {
		return nil, nil, err
	}
	if have == nil {
		return nil, nil, fault.Halt("collection %s is missing in Weaviate at %s: run freshet topics apply if it is new; restore or rebuild it if it was there before", want.Class, c.url)
	}
	if absent := absentProperties(have, want); len(absent) > 0 {
		names := make([]string, len(absent))
		for i, p := range absent {
			names[i] = p.Name
		}
		return nil, nil, fault.Halt("collection %s lacks %s: run freshet topics apply", have.Class, strings.Join(names, ", "))
	}
	vector := spec.Settings.Vector
	if side {
		vector = ""
	}
	if err := differs(have.Class, classDifferences(have, want, vector)); err != nil {
		return nil, nil, err
	}
	return want, have, checkCopies(have)
}

// compare returns the class that there must be and the one that is there, nil where there is none.
// It is an error where that is of another identity.
func (c *Client) compare(ctx context.Context, spec CollectionSpec, side bool) (want, have *models.Class, err error) {
	if want, err = classOf(spec, side); err != nil {
		return nil, nil, err
	}
	if have, err = c.class(ctx, want.Class); err != nil || have == nil {
		return want, nil, err
	}
	id, err := parseIdentity(have.Description)
	if err != nil {
		return want, have, differs(have.Class, []string{err.Error()})
	}
	if err := differs(have.Class, id.differences(spec.identity(side))); err != nil {
		return want, have, err
	}
	return want, have, otherLog(have.Class, id, spec)
}

// otherLog returns a fault where a collection has versions that were counted in another log.
func otherLog(class string, id identity, spec CollectionSpec) error {
	if id.TopicID == spec.TopicID && id.Epoch == spec.Epoch {
		return nil
	}
	return fault.Halt("collection %s belongs to another log: its topic id is %s there and %s here, its epoch %d there and %d here; if the live documents were made anew, or the index is a backup from before that, stop all services and run `freshet epoch raise`", class, id.TopicID, spec.TopicID, id.Epoch, spec.Epoch)
}

// class returns a class, nil where there is none of that name.
func (c *Client) class(ctx context.Context, name string) (*models.Class, error) {
	class, err := c.schema.ClassGetter().WithClassName(name).Do(ctx)
	if e, ok := errors.AsType[*officialfault.WeaviateClientError](err); ok && e.StatusCode == http.StatusNotFound {
		return nil, nil //nolint:nilnil // absence is an answer
	}
	if err != nil {
		return nil, classifyREST("reading collection "+name, err)
	}
	return class, nil
}

// Describe returns the collection that an alias points at, as it describes itself, and remembers
// it for the calls that name it. Searchers need nothing else. Of each property it knows name and
// type, of the settings the name of the vector. A missing alias is a fatal fault.
func (c *Client) Describe(ctx context.Context, name string) (CollectionSpec, error) {
	className, err := c.resolve(ctx, name)
	if err != nil {
		return CollectionSpec{}, err
	}
	if className == "" {
		return CollectionSpec{}, fault.Halt("alias %s is missing in Weaviate at %s: is it the right Weaviate?", name, c.url)
	}
	class, err := c.class(ctx, className)
	if err != nil {
		return CollectionSpec{}, err
	}
	if class == nil {
		return CollectionSpec{}, fault.Halt("collection %s behind alias %s is missing", className, name)
	}
	id, err := parseIdentity(class.Description)
	if err != nil {
		return CollectionSpec{}, fault.Halt("reading collection %s: %w", className, err)
	}
	spec := CollectionSpec{
		Name: id.Collection, Generation: id.Generation, Space: id.Space, Dimensions: id.Dimensions,
		TopicID: id.TopicID, Partitions: id.Partitions, Epoch: id.Epoch, Recipes: id.Recipes,
	}
	for _, p := range class.Properties {
		if len(p.DataType) == 1 && !strings.HasPrefix(p.Name, pipeline.ReservedPrefix) {
			spec.Properties = append(spec.Properties, pipeline.Property{Name: p.Name, Type: pipeline.Type(p.DataType[0])})
		}
	}
	spec.Settings.Vector = id.Vector
	c.bind(spec, traitsOf(class, id.Vector))
	return spec, nil
}

package e2e_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/services/embed/builtin"
)

// cdcItem is an item as it should be, or as it is: its properties as texts, by name, and its text or its vector.
type cdcItem struct {
	key        string // of the row; empty where it is read from the index
	properties map[string]string
	text       string
	vector     []float32
}

// cdcJudge compares tables with the index. It reads the index as a client does that knows nothing of Freshet.
type cdcJudge struct {
	*rig

	model   *builtin.Model
	vectors map[string][]float32 // by text
}

// verdict is what was found of a table.
type cdcVerdict struct {
	rows, indexed, letters int
	different              []string
}

func (j *cdcJudge) compare(ctx context.Context, c *cdcTable) (v cdcVerdict, err error) {
	want, rows, err := j.shouldBe(ctx, c)
	if err != nil {
		return v, err
	}
	got, err := j.is(ctx, c)
	if err != nil {
		return v, err
	}
	v.rows, v.indexed = rows, len(got)
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if _, expected := want[id]; !expected {
			v.different = append(v.different, fmt.Sprintf("%s is in the index and should not be: %v", id, got[id].properties))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		there, is := got[id]
		if !is {
			v.different = append(v.different, fmt.Sprintf("row %s (%s) is not in the index", want[id].key, id))
		} else if reason := j.differs(want[id], there); reason != "" {
			v.different = append(v.different, fmt.Sprintf("row %s (%s): %s", want[id].key, id, reason))
		}
	}
	return v, nil
}

func (j *cdcJudge) differs(want, got cdcItem) string {
	if !maps.Equal(want.properties, got.properties) {
		return fmt.Sprintf("properties are %v, want %v", got.properties, want.properties)
	}
	if cosine := cosineOf(got.vector, j.vectors[want.text]); !(cosine > 0.9999) {
		return fmt.Sprintf("the vector is not that of %q: cosine %.4f", want.text, cosine)
	}
	return ""
}

// shouldBe reads a table, and says what the index must have, by the ids of Weaviate. rows counts those that are not to be
// found too.
func (j *cdcJudge) shouldBe(ctx context.Context, c *cdcTable) (items map[string]cdcItem, rows int, err error) {
	at := slices.IndexFunc(j.file.Pipelines, func(p pipeline.Pipeline) bool { return p.Collection == c.collection })
	rules, err := j.file.Pipelines[at].Rules()
	if err != nil {
		return nil, 0, err
	}
	items = map[string]cdcItem{}
	err = c.each(ctx, func(row map[string]sql.NullString) error {
		rows++
		if active := row["active"].String; active == "false" || active == "0" {
			return nil
		}
		item := record.Item{Collection: c.collection}
		for _, name := range c.keyColumns() {
			item.ID = append(item.ID, row[name].String)
		}
		columns := map[string]any{"name": row["name"].String, "description": nil}
		if d := row["description"]; d.Valid {
			columns["description"] = d.String
		}
		object, err := json.Marshal(columns)
		if err != nil {
			return err
		}
		properties, err := propertiesOf(row)
		items[item.UUID().String()] = cdcItem{
			key: strings.Join(item.ID, "/"), text: rules.Template.Render(pipeline.ParseRow(object)), properties: properties,
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return items, rows, j.embed(ctx, items)
}

// embed recomputes the vectors that are not known yet.
func (j *cdcJudge) embed(ctx context.Context, items map[string]cdcItem) error {
	unknown := map[string]bool{}
	for _, item := range items {
		if j.vectors[item.text] == nil {
			unknown[item.text] = true
		}
	}
	texts := slices.Sorted(maps.Keys(unknown))
	made, err := j.model.Embed(ctx, texts)
	for i, vector := range made.Vectors {
		j.vectors[texts[i]] = vector
	}
	return err
}

// each reads all rows of the table, by the names of the columns.
func (c *cdcTable) each(ctx context.Context, take func(map[string]sql.NullString) error) error {
	var names, shown []string
	for _, column := range cdcColumns {
		if column.addedLater && !c.branded {
			continue
		}
		as := column.myAs
		if c.postgres {
			as = column.pgAs
		}
		names, shown = append(names, column.name), append(shown, cmp.Or(as, column.name))
	}
	rows, err := c.db.QueryContext(ctx, fmt.Sprintf("select %s from %s", strings.Join(shown, ", "), c.name))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		places := make([]any, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return err
		}
		row := map[string]sql.NullString{}
		for i, name := range names {
			row[name] = values[i]
		}
		if err := take(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// propertiesOf says which properties a row should have. One that is null has none.
func propertiesOf(row map[string]sql.NullString) (map[string]string, error) {
	properties := map[string]string{}
	for _, column := range cdcColumns {
		value := row[column.name]
		if column.kind == "" || !value.Valid {
			continue
		}
		var decoded any = value.String
		var err error
		switch column.kind {
		case "number", "int":
			decoded, err = strconv.ParseFloat(value.String, 64)
		case "text[]":
			err = json.Unmarshal([]byte(value.String), &decoded)
		}
		if err == nil {
			properties[column.property()], err = cdcShow(column.kind, decoded)
		}
		if err != nil {
			return nil, fmt.Errorf("column %s of %v: %w", column.name, row, err)
		}
	}
	return properties, nil
}

// cdcShow gives equal values of a property equal texts.
func cdcShow(kind string, value any) (string, error) {
	switch v := value.(type) {
	case string:
		if kind != "date" {
			return v, nil
		}
		at, err := time.Parse(time.RFC3339Nano, v)
		return at.UTC().Format(time.RFC3339Nano), err
	default:
		b, err := json.Marshal(v)
		return string(b), err
	}
}

// is reads the whole collection of a table, a page at a time.
func (j *cdcJudge) is(ctx context.Context, c *cdcTable) (map[string]cdcItem, error) {
	items := map[string]cdcItem{}
	for after := ""; ; {
		objects, err := j.page(ctx, c.collection+"_g1", after)
		if err != nil || len(objects) == 0 {
			return items, err
		}
		for _, object := range objects {
			after = object.ID
			item := cdcItem{properties: map[string]string{}, vector: object.Vector}
			for _, column := range cdcColumns {
				value, has := object.Properties[column.property()]
				if column.kind == "" || !has || value == nil {
					continue
				}
				if item.properties[column.property()], err = cdcShow(column.kind, value); err != nil {
					return nil, err
				}
			}
			items[object.ID] = item
		}
	}
}

type cdcObject struct {
	ID         string
	Vector     []float32
	Properties map[string]any
}

func (j *cdcJudge) page(ctx context.Context, class, after string) ([]cdcObject, error) {
	query := url.Values{"class": {class}, "limit": {"500"}, "include": {"vector"}}
	if after != "" {
		query.Set("after", after)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+j.server.REST+"/v1/objects?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+j.server.APIKey)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("listing %s: %s %s %w", class, resp.Status, body, err)
	}
	var page struct{ Objects []cdcObject }
	return page.Objects, json.Unmarshal(body, &page)
}

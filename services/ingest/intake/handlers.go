package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/values"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// Source is a pipeline that takes changes over HTTP.
type Source struct {
	Name, Topic string
	Rows        bool     // whether its format has rows, so that it takes items
	ID          []string // columns
	Tenant      string   // column, "" for none
	Order       string   // column, "" for none
}

// The types of bodies.
var (
	ndjson = []string{"application/x-ndjson", "application/ndjson", "application/jsonl"}
	object = []string{"application/json"}
)

const sourceParameter, tenantParameter, seqParameter = "source", "tenant", "seq"

func (s *Server) postItems(r *http.Request, h *hold) (Result, error) {
	source, err := s.itemSource(r.URL.Query())
	if err != nil {
		return Result{}, err
	}
	return s.post(r, h, source, (*batch).row)
}

func (s *Server) postEvents(r *http.Request, h *hold) (Result, error) {
	source, err := s.source(r.PathValue("name"))
	if err != nil {
		return Result{}, err
	}
	return s.post(r, h, source, (*batch).event)
}

func (s *Server) post(r *http.Request, h *hold, source Source, take take) (Result, error) {
	body, err := s.read(r, h, ndjson...)
	if err != nil {
		return Result{}, err
	}
	b := s.newBatch(r.Context(), h, source)
	if err := b.all(r.Context(), body, take); err != nil {
		return Result{}, err
	}
	return b.finish(r.Context())
}

// single takes one row.
func (s *Server) single(ctx context.Context, h *hold, source Source, row []byte) (Result, error) {
	b := s.newBatch(ctx, h, source)
	if err := b.one(ctx, 1, row, (*batch).row); err != nil {
		return Result{}, err
	}
	return b.finish(ctx)
}

// putItem takes one row, whose id is that of the path.
func (s *Server) putItem(r *http.Request, h *hold) (Result, error) {
	source, id, err := s.item(r)
	if err != nil {
		return Result{}, err
	}
	body, err := s.read(r, h, object...)
	if err != nil {
		return Result{}, err
	}
	row, err := withID(body, source.ID[0], id)
	if err != nil {
		return Result{}, err
	}
	return s.single(r.Context(), h, source, row)
}

// deleteItem writes the row of a delete: what names the item, and its place in the order.
func (s *Server) deleteItem(r *http.Request, h *hold) (Result, error) {
	source, id, err := s.item(r)
	if err != nil {
		return Result{}, err
	}
	row := map[string]string{source.ID[0]: id, "__deleted": "true"}
	query := r.URL.Query()
	for name, column := range map[string]string{tenantParameter: source.Tenant, seqParameter: source.Order} {
		switch value := query.Get(name); {
		case value == "" && column != "" && column != source.ID[0]:
			return Result{}, refuse(http.StatusBadRequest, "missing-"+name, "items of %s have a %s, in column %s: give it with the request, ?%[2]s=…", source.Name, name, column)
		case value == "":
		case !utf8.ValidString(value): // JSON would make another text of it
			return Result{}, refuse(http.StatusUnprocessableEntity, "malformed", "%s is not UTF-8", name)
		case column == "":
			return Result{}, refuse(http.StatusBadRequest, "no-"+name, "source %s has no column for %s: leave it out", source.Name, name)
		case column != source.ID[0]:
			row[column] = value
		}
	}
	text, err := json.Marshal(row)
	if err != nil {
		return Result{}, err
	}
	return s.single(r.Context(), h, source, text)
}

// item returns what a path to one item names.
func (s *Server) item(r *http.Request) (source Source, id string, err error) {
	if source, err = s.itemSource(r.URL.Query()); err != nil {
		return Source{}, "", err
	}
	if len(source.ID) != 1 {
		return Source{}, "", refuse(http.StatusNotFound, "composite-id", "items of %s have ids of several columns: POST their rows to /v1/items, with \"__deleted\": true to delete", source.Name)
	}
	if id = r.PathValue("id"); !utf8.ValidString(id) {
		return Source{}, "", refuse(http.StatusUnprocessableEntity, "malformed", "the id in the path is not UTF-8")
	}
	return source, id, nil
}

// itemSource returns the source of a request for items: the named one, or the only one there is.
func (s *Server) itemSource(query url.Values) (Source, error) {
	name := query.Get(sourceParameter)
	if name == "" {
		var all []Source
		for _, source := range s.sources {
			if source.Rows {
				all = append(all, source)
			}
		}
		if len(all) != 1 {
			return Source{}, refuse(http.StatusBadRequest, "no-source", "there are %d sources of items: name one, ?source=…", len(all))
		}
		return all[0], nil
	}
	source, err := s.source(name)
	if err == nil && !source.Rows {
		err = refuse(http.StatusNotFound, "no-items", "source %s takes no items: its format is not rows; POST its events to /v1/sources/%s/events", name, name)
	}
	return source, err
}

func (s *Server) source(name string) (Source, error) {
	i := slices.IndexFunc(s.sources, func(source Source) bool { return source.Name == name })
	if i < 0 {
		return Source{}, refuse(http.StatusNotFound, "unknown-source", "no pipeline of this name has source.http")
	}
	return s.sources[i], nil
}

// withID returns a row with an id: its own one must be the same.
func withID(body []byte, column, id string) ([]byte, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return nil, refuse(http.StatusUnprocessableEntity, "malformed", "the body is no JSON object")
	}
	var own gjson.Result
	change.Members(gjson.ParseBytes(body), map[string]*gjson.Result{column: &own})
	if own.Exists() {
		if part, ok := values.IDPart(own); !ok || part != id {
			return nil, refuse(http.StatusUnprocessableEntity, "other-id", "the row has another id in column %q than the path", column)
		}
		return body, nil
	}
	head, err := json.Marshal(map[string]string{column: id})
	if err != nil {
		return nil, err
	}
	head, rest := head[:len(head)-1], bytes.TrimSpace(body[1:])
	if !bytes.HasPrefix(rest, []byte("}")) {
		head = append(head, ',')
	}
	return append(head, rest...), nil
}

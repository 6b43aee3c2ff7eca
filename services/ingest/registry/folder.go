package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ingest/wire"
)

// Folder has schemas from files: for samples, without a registry. It is read only.
type Folder struct {
	dir     string
	schemas map[uint32]*wire.Schema
}

// file is what a file has: a schema, or what a registry answered of one.
type file struct {
	entry
	reference
	ID uint32 `json:"id"`
}

// OpenFolder reads all files of a folder. A file has a schema, or what a registry answered of one: {"schema": "…"}. The id
// is in that answer, or the file's name without its ending: 7.avsc. What a schema refers to is found by the subject and
// version of another file.
func OpenFolder(dir string) (*Folder, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading schemas: %w", err)
	}
	files, places := map[string]file{}, map[reference]entry{}
	for _, name := range names {
		if name.IsDir() || strings.HasPrefix(name.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, name.Name())
		of, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("reading schema %s: %w", path, err)
		}
		files[path] = of
		if of.Subject != "" {
			places[of.reference] = of.entry
		}
	}
	f := &Folder{dir: dir, schemas: map[uint32]*wire.Schema{}}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := f.add(files[path], places); err != nil {
			return nil, fmt.Errorf("reading schema %s: %w", path, err)
		}
	}
	return f, nil
}

func read(path string) (of file, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return of, err
	}
	if json.Unmarshal(text, &of) != nil || of.Schema == "" {
		of = file{entry: entry{Schema: string(text)}}
		if gjson.GetBytes(text, "properties").Exists() { // which Avro has not
			of.Type = "JSON"
		}
	}
	if of.ID != 0 {
		return of, nil
	}
	stem, _, _ := strings.Cut(filepath.Base(path), ".")
	id, err := strconv.ParseUint(stem, 10, 32)
	if err != nil {
		return of, errors.New("neither its name nor its content has an id: call it 7.avsc, or let it be the registry's answer with an id")
	}
	of.ID = uint32(id)
	return of, nil
}

func (f *Folder) add(of file, places map[reference]entry) error {
	if f.schemas[of.ID] != nil {
		return fmt.Errorf("another file has schema %d, too", of.ID)
	}
	definition, err := of.define(func(to reference) (entry, error) {
		if found, there := places[to]; there {
			return found, nil
		}
		return entry{}, fmt.Errorf("it refers to %s, which no file has: save what the registry answers of /subjects/%s/versions/%d", to, to.Subject, to.Version)
	})
	if err != nil {
		return err
	}
	f.schemas[of.ID], err = wire.Compile(definition)
	return err
}

// Schema returns the schema of an id, or an error that is permanent.
func (f *Folder) Schema(_ context.Context, id uint32) (*wire.Schema, error) {
	if s := f.schemas[id]; s != nil {
		return s, nil
	}
	return nil, fault.Reject(fault.UnknownSchema, "no file in %s has schema %d", f.dir, id)
}

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// OpenFolder reads all files of a folder. A file has a schema, or what a registry answered of one: {"schema": "…"}. The id
// is in that answer, or the file's name without its ending: 7.avsc.
func OpenFolder(dir string) (*Folder, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading schemas: %w", err)
	}
	f := &Folder{dir: dir, schemas: map[uint32]*wire.Schema{}}
	for _, file := range files {
		if file.IsDir() || strings.HasPrefix(file.Name(), ".") {
			continue
		}
		if err := f.read(file.Name()); err != nil {
			return nil, fmt.Errorf("reading schema %s: %w", filepath.Join(dir, file.Name()), err)
		}
	}
	return f, nil
}

func (f *Folder) read(name string) error {
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	var e struct {
		entry
		ID uint32 `json:"id"`
	}
	if json.Unmarshal(text, &e) != nil || e.Schema == "" {
		e.Schema, e.ID = string(text), 0
		if gjson.GetBytes(text, "properties").Exists() { // which Avro has not
			e.Type = "JSON"
		}
	}
	if e.ID == 0 {
		stem, _, _ := strings.Cut(name, ".")
		id, err := strconv.ParseUint(stem, 10, 32)
		if err != nil {
			return errors.New("neither its name nor its content has an id: call it 7.avsc, or let it be the registry's answer with an id")
		}
		e.ID = uint32(id)
	}
	if f.schemas[e.ID] != nil {
		return fmt.Errorf("another file has schema %d, too", e.ID)
	}
	f.schemas[e.ID], err = wire.Compile(wire.Definition{Text: e.Schema, Language: e.Type})
	return err
}

// Schema returns the schema of an id, or an error that is permanent.
func (f *Folder) Schema(_ context.Context, id uint32) (*wire.Schema, error) {
	if s := f.schemas[id]; s != nil {
		return s, nil
	}
	return nil, fault.Reject(fault.UnknownSchema, "no file in %s has schema %d", f.dir, id)
}

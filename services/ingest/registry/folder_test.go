package registry_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ingest/registry"
)

func TestFolder_schemasThatReferToOthers(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"4.json":     `{"schema":"{\"type\":\"record\",\"name\":\"Item\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"price\",\"type\":\"Price\"},{\"name\":\"before\",\"type\":\"shop.Money\"}]}","references":[{"name":"shop.Price","subject":"price","version":2},{"name":"shop.Money","subject":"money","version":1}]}`,
		"price.json": `{"subject":"price","version":2,"id":9,"schema":"{\"type\":\"record\",\"name\":\"Price\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"net\",\"type\":\"Money\"}]}","references":[{"name":"shop.Money","subject":"money","version":1}]}`,
		"money.json": `{"subject":"money","version":1,"id":8,"schema":"{\"type\":\"record\",\"name\":\"Money\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"cents\",\"type\":\"long\"}]}"}`,
	} {
		write(t, filepath.Join(dir, name), text)
	}
	folder, err := registry.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := folder.Schema(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	if json, err := schema.JSON([]byte{10, 8}, limits); err != nil || string(json) != `{"price":{"net":{"cents":5}},"before":{"cents":4}}` {
		t.Errorf("%s %v", json, err)
	}
	write(t, filepath.Join(dir, "money.json"), `{"subject":"money","version":3,"id":8,"schema":"\"string\""}`)
	if _, err := registry.OpenFolder(dir); err == nil || !strings.Contains(err.Error(), "4.json: it refers to version 1 of money, which no file has: save what the registry answers of /subjects/money/versions/1") {
		t.Error(err)
	}
}

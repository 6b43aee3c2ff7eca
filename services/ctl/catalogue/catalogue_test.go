package catalogue

import (
	"reflect"
	"strings"
	"testing"
	"unicode"
)

func TestProducts_areManyAndVariedInBothLanguages(t *testing.T) {
	perLanguage := map[Language]int{}
	categories := map[Language]map[string]bool{English: {}, Chinese: {}}
	active := 0
	for _, p := range Products() {
		perLanguage[p.Language]++
		categories[p.Language][p.CategoryPath[0]] = true
		if p.Active {
			active++
		}
	}
	if active < 1200 {
		t.Errorf("%d products are to be found, want at least 1200", active)
	}
	if perLanguage[English] < 800 || perLanguage[Chinese] < 400 {
		t.Errorf("products per language %v, want 800 English and 400 Chinese", perLanguage)
	}
	for language, names := range categories {
		if len(names) < 14 {
			t.Errorf("%s has %d categories, want at least 14: %v", language, len(names), names)
		}
	}
	if active == len(Products()) {
		t.Error("every product is active, so the filter of the pipeline file is never tried")
	}
}

func TestProducts_shareNoIDNorSKUNorName(t *testing.T) {
	ids, skus, names := map[int64]bool{}, map[string]bool{}, map[string]bool{}
	for _, p := range Products() {
		if ids[p.ID] || skus[p.SKU] || names[p.Name] {
			t.Errorf("id %d, sku %s or name %q is there twice", p.ID, p.SKU, p.Name)
		}
		ids[p.ID], skus[p.SKU], names[p.Name] = true, true, true
	}
}

func TestProducts_areTheSameInEveryRun(t *testing.T) {
	first, second := Products(), Products()
	if !reflect.DeepEqual(first, second) {
		t.Error("two calls differ")
	}
	// Two calls in one process would not notice a seed that differs between processes.
	if got := first[0]; got.ID != 1001 || got.SKU != "CHEF-KNIVES-1" || got.Name != "Norbeck Forged Chef's Knife, 15 cm" {
		t.Errorf("first product is %+v", got)
	}
	first[0].CategoryPath[0] = "changed"
	if Products()[0].CategoryPath[0] == "changed" {
		t.Error("the caller's change is seen by the next caller")
	}
}

func TestProducts_haveWholeTextsInTheirLanguage(t *testing.T) {
	for _, p := range Products() {
		text := p.Text()
		if strings.ContainsAny(text, "{}|") || strings.Contains(text, "  ") {
			t.Errorf("%d: left-over marks in %q", p.ID, text)
		}
		if len(p.CategoryPath) != 2 || p.Brand == "" || !strings.HasPrefix(p.Name, p.Brand+" ") {
			t.Errorf("%d: path %v, brand %q, name %q", p.ID, p.CategoryPath, p.Brand, p.Name)
		}
		sentences := strings.Count(p.Description, ".")
		if p.Language == Chinese {
			sentences = strings.Count(p.Description, "。")
		}
		if sentences < 1 || sentences > 3 {
			t.Errorf("%d: %d sentences in %q", p.ID, sentences, p.Description)
		}
		if han := strings.ContainsFunc(text, isHan); han != (p.Language == Chinese) {
			t.Errorf("%d is %s but reads %q", p.ID, p.Language, text)
		}
		if p.Price <= 0 || p.Stock < 0 {
			t.Errorf("%d: price %s, stock %d", p.ID, p.Price, p.Stock)
		}
	}
}

func TestKinds_giveEveryPairOfWordsOnceAtMost(t *testing.T) {
	keys := map[string]bool{}
	for _, language := range languages {
		for _, k := range assortments()[language].Kinds {
			if keys[k.Key] {
				t.Errorf("kind %s is there twice", k.Key)
			}
			keys[k.Key] = true
			if pairs := len(k.A) * len(k.B); pairs != 12 {
				t.Errorf("kind %s has %d pairs of words, the stride is made for 12", k.Key, pairs)
			}
			if k.Price[0] >= k.Price[1] {
				t.Errorf("kind %s costs from %d to %d", k.Key, k.Price[0], k.Price[1])
			}
		}
	}
}

func TestPrice_alwaysShowsTwoDigits(t *testing.T) {
	for price, want := range map[Price]string{1999: "19.99", 500: "5.00", 1205: "12.05", 7: "0.07"} {
		if got := price.String(); got != want {
			t.Errorf("Price(%d) is %q, want %q", int64(price), got, want)
		}
	}
}

func TestPipelineFile_readsTheTopicOfTheFeed(t *testing.T) {
	file := string(PipelineFile())
	for _, want := range []string{"apiVersion: freshet/v1", "topics: [" + Topic + "]", "provider: builtin", "collection: Product"} {
		if !strings.Contains(file, want) {
			t.Errorf("the pipeline file lacks %q", want)
		}
	}
	PipelineFile()[0] = 'x'
	if string(PipelineFile()) != file {
		t.Error("the caller's change is seen by the next caller")
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

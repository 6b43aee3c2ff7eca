// Package catalogue is the demo catalogue of `freshet dev`: invented products in
// English and Chinese, a search set that shares no word with what it looks for,
// the change events a database would give for the products, and the pipeline
// file that indexes them. Everything is computed from what is compiled in and is
// the same in every run; the package never reads a file, a clock or the network.
package catalogue

import (
	_ "embed"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Language is the language of a product or a query.
type Language string

// The languages of the catalogue.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// Price is a price in hundredths of the shop's currency.
type Price int64

// String returns the price as a decimal with two digits after the point.
func (p Price) String() string { return fmt.Sprintf("%d.%02d", p/100, p%100) }

// Product is a row of the products table.
type Product struct {
	ID           int64
	SKU          string
	Name         string // no two products share one
	Brand        string
	CategoryPath []string // from the widest category to the narrowest
	Description  string
	Price        Price
	Stock        int
	Active       bool // false: in the table, but not to be found
	UpdatedAt    time.Time

	Kind     string // what it is, as Query.Kind names it; not a column
	Language Language
}

// Text returns what the pipeline file embeds of the product.
func (p Product) Text() string {
	return p.Name + "\n" + strings.Join(p.CategoryPath, " / ") + " " + p.Brand + "\n" + p.Description
}

// kind is a sort of product and the words from which its products are made.
// Lists are written with bars between the entries to keep the tables readable.
type kind struct {
	key       string
	path      string // categories with slashes between them
	low, high int    // whole units of currency
	name      string // with {a} and {b}
	a, b      string // every pair must make sense and is one product at most
	use       [2]string
	more      [2]string
}

const (
	firstID     = 1001
	perKind     = 10
	inactiveGap = 50 // one product in so many is inactive
	pairStride  = 5  // coprime to the 12 pairs of a kind, so that neighbours differ in both words
)

var (
	englishBrands = []string{"Norbeck", "Tavira", "Ellwyn", "Marlowe", "Quillon", "Ostrava", "Bexley", "Rivano"}
	chineseBrands = []string{"青禾", "云岫", "拾木", "北辰", "映月", "知澜"}
	written       = time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)
)

//go:embed pipeline.yaml
var pipelineFile []byte

// PipelineFile returns the pipeline file (YAML) that indexes the catalogue into
// the collection Product with the built-in embedder. The caller owns the bytes.
func PipelineFile() []byte { return slices.Clone(pipelineFile) }

// Products returns the catalogue in the order of ids. Neighbours are of different
// kinds, so that any prefix of it is varied. The caller owns the slice.
func Products() []Product {
	english, chinese := englishKinds(), chineseKinds()
	products := make([]Product, 0, perKind*(len(english)+len(chinese)))
	for n := range perKind {
		for i, k := range english {
			products = append(products, k.product(n, englishBrands[(i+n)%len(englishBrands)], English))
		}
		for i, k := range chinese {
			products = append(products, k.product(n, chineseBrands[(i+n)%len(chineseBrands)], Chinese))
		}
	}
	for i := range products {
		products[i].ID = int64(firstID + i)
		products[i].Active = i%inactiveGap != inactiveGap-1
	}
	return products
}

// product returns the nth product of the kind, without an id.
func (k kind) product(n int, brand string, language Language) Product {
	as, bs := strings.Split(k.a, "|"), strings.Split(k.b, "|")
	pair := n * pairStride % (len(as) * len(bs))
	name := strings.NewReplacer("{a}", as[pair%len(as)], "{b}", bs[pair/len(as)]).Replace(k.name)
	space := " "
	if language == Chinese {
		space = ""
	}
	sku := strings.ToUpper(k.key) + "-" + strconv.Itoa(n+1)
	dice := spread(sku)
	return Product{
		SKU: sku, Name: brand + " " + name, Brand: brand,
		CategoryPath: strings.Split(k.path, "/"),
		Description:  k.use[n%2] + space + k.more[n/2%2],
		Price:        Price(100*(uint64(k.low)+dice%uint64(k.high-k.low)) + 99),
		Stock:        int(dice >> 32 % 240),
		UpdatedAt:    written.Add(time.Duration(dice>>40%86400) * time.Second),
		Kind:         k.key, Language: language,
	}
}

// spread returns a number that is fixed for the text but looks like chance.
func spread(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

func englishKinds() []kind {
	return slices.Concat(
		kitchenKinds, sportsKinds, cyclingKinds, audioKinds, computerKinds, phoneKinds, babyKinds, toyKinds,
		petKinds, furnitureKinds, lightingKinds, cleaningKinds, gardenKinds, beautyKinds, officeKinds, clothingKinds,
	)
}

func chineseKinds() []kind { return slices.Concat(chineseHomeKinds, chineseLifeKinds) }

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
	"sync"
	"time"

	"github.com/goccy/go-yaml"
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

// assortment is what is sold in one language.
type assortment struct {
	Brands []string `yaml:"brands"`
	Kinds  []kind   `yaml:"kinds"`
}

// kind is a sort of product and the words from which its products are made; the file says what each is for.
type kind struct {
	Key   string    `yaml:"key"`
	Path  []string  `yaml:"path"`
	Price [2]uint64 `yaml:"price"` // whole units of currency
	Name  string    `yaml:"name"`
	A     []string  `yaml:"a"`
	B     []string  `yaml:"b"`
	Use   [2]string `yaml:"use"`
	More  [2]string `yaml:"more"`
	Query string    `yaml:"query"` // empty: nothing searches for it
}

const (
	firstID     = 1001
	perKind     = 10
	inactiveGap = 50 // one product in so many is inactive
	pairStride  = 5  // coprime to the 12 pairs of a kind, so that neighbours differ in both words
)

var (
	written   = time.Date(2026, time.January, 5, 8, 0, 0, 0, time.UTC)
	languages = []Language{English, Chinese}
)

//go:embed kinds.yaml
var kindsFile []byte

var assortments = sync.OnceValue(func() map[Language]assortment {
	var read map[Language]assortment
	if err := yaml.UnmarshalWithOptions(kindsFile, &read, yaml.Strict()); err != nil {
		panic(err) //nolint:forbidigo // the file is compiled in, and the tests read it
	}
	return read
})

//go:embed pipeline.yaml
var pipelineFile []byte

// PipelineFile returns the pipeline file (YAML) that indexes the catalogue into
// the collection Product with the built-in embedder. The caller owns the bytes.
func PipelineFile() []byte { return slices.Clone(pipelineFile) }

// Products returns the catalogue in the order of ids. Neighbours are of different
// kinds, so that any prefix of it is varied. The caller owns the slice.
func Products() []Product {
	var products []Product
	for n := range perKind {
		for _, language := range languages {
			sold := assortments()[language]
			for i, k := range sold.Kinds {
				products = append(products, k.product(n, sold.Brands[(i+n)%len(sold.Brands)], language))
			}
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
	pair := n * pairStride % (len(k.A) * len(k.B))
	name := strings.NewReplacer("{a}", k.A[pair%len(k.A)], "{b}", k.B[pair/len(k.A)]).Replace(k.Name)
	space := " "
	if language == Chinese {
		space = ""
	}
	sku := strings.ToUpper(k.Key) + "-" + strconv.Itoa(n+1)
	dice := spread(sku)
	return Product{
		SKU: sku, Name: brand + " " + name, Brand: brand,
		CategoryPath: slices.Clone(k.Path),
		Description:  k.Use[n%2] + space + k.More[n/2%2],
		Price:        Price(100*(k.Price[0]+dice%(k.Price[1]-k.Price[0])) + 99),
		Stock:        int(dice >> 32 % 240),
		UpdatedAt:    written.Add(time.Duration(dice>>40%86400) * time.Second),
		Kind:         k.Key, Language: language,
	}
}

// spread returns a number that is fixed for the text but looks like chance.
func spread(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

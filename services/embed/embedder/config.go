package embedder

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/tiktoken-go/tokenizer"

	"github.com/freshet-io/freshet/libs/fault"
)

// Config is how texts are fitted, batched and remembered.
type Config struct {
	MaxTokens   int           `envconfig:"MAX_TOKENS" default:"0" desc:"longest text in tokens where they can be counted; 0 takes the model's own limit"`
	MaxBytes    int           `envconfig:"MAX_BYTES" default:"0" desc:"longest text in bytes where tokens cannot be counted; 0 means 32768"`
	Tokenizer   string        `envconfig:"TOKENIZER" default:"auto" desc:"how tokens are counted: cl100k, none, or auto, which is cl100k for OpenAI's models and none for others"`
	BatchItems  int           `envconfig:"BATCH_ITEMS" default:"256" desc:"most texts in a request"`
	BatchTokens int           `envconfig:"BATCH_TOKENS" default:"100000" desc:"most tokens in a request, partly estimated; OpenAI takes 300000"`
	BatchBytes  int           `envconfig:"BATCH_BYTES" default:"4194304" desc:"most bytes of text in a request"`
	BatchWait   time.Duration `envconfig:"BATCH_WAIT" default:"0s" desc:"fixed time to wait for a batch to fill; 0 sends at once when idle and else spreads the requests evenly over the time that one takes, at most 50 ms apart"`
	InFlight    int           `envconfig:"IN_FLIGHT" default:"8" desc:"most requests to the provider at the same time, of live documents and of backfills each; those that wait for a rate limit count"`
	CacheBytes  int           `envconfig:"CACHE_BYTES" default:"33554432" desc:"memory for the vectors of recent texts, so that a text which comes again soon is not paid again; 0 keeps none"`

	OvertakeAfter time.Duration `envconfig:"OVERTAKE_AFTER" default:"2s" desc:"how long a live change waits for the vector of its text while the provider is away, slow or throttled, or the budget is spent; then it goes on without, so that prices, stock and deletes stay fresh, and its vector follows. Once the provider is known to be behind nothing waits. A new item is found when it has its vector. 0 has everything wait for its vector"`
	WithoutIndex  bool          `envconfig:"WITHOUT_INDEX" default:"false" desc:"go on when the index cannot be asked which vectors it has, and pay for them again, instead of waiting for it"`

	PricePerMillion float64 `envconfig:"PRICE_PER_MILLION" default:"-1" desc:"what the provider charges for a million tokens; -1 takes what OpenAI's models cost (text-embedding-3-large 0.13, -3-small 0.02, ada-002 0.10), and 0 for others"`
	Currency        string  `default:"USD" desc:"of that price"`
	BudgetPerDay    float64 `envconfig:"BUDGET_PER_DAY" default:"0" desc:"what all replicas may spend a day (UTC), in that currency; then texts that must be paid for wait for the next day; 0 sets no bound; budgetPerDay in the pipeline file bounds one pipeline"`

	Budgets map[string]float64 `ignored:"true"` // of pipelines, by name, a day: the pipeline file has them
}

// Space is what the pipeline file says of the vectors.
type Space struct {
	Name       string // pipeline.Space.String(): part of every fingerprint
	Model      string
	Dimensions int
	Prefix     string // put before each text
}

// Validate returns all that is wrong with c, joined.
func (c Config) Validate() error {
	return errors.Join(
		fault.If(c.MaxTokens < 0, "MAX_TOKENS is %d: it cannot be negative", c.MaxTokens),
		fault.If(c.MaxBytes < 0, "MAX_BYTES is %d: it cannot be negative", c.MaxBytes),
		fault.If(c.Tokenizer != "auto" && c.Tokenizer != "cl100k" && c.Tokenizer != "none", "TOKENIZER is %q: auto, cl100k or none", c.Tokenizer),
		fault.If(c.BatchItems < 1, "BATCH_ITEMS is %d: at least 1", c.BatchItems),
		fault.If(c.BatchTokens < 1, "BATCH_TOKENS is %d: at least 1", c.BatchTokens),
		fault.If(c.BatchBytes < 1, "BATCH_BYTES is %d: at least 1", c.BatchBytes),
		fault.If(c.BatchWait < 0, "BATCH_WAIT is %s: it cannot be negative", c.BatchWait),
		fault.If(c.InFlight < 1, "IN_FLIGHT is %d: at least 1", c.InFlight),
		fault.If(c.CacheBytes < 0, "CACHE_BYTES is %d: it cannot be negative", c.CacheBytes),
		fault.If(c.OvertakeAfter < 0, "OVERTAKE_AFTER is %s: it cannot be negative; 0 has everything wait for its vector", c.OvertakeAfter),
		fault.If(!(c.PricePerMillion >= 0) && c.PricePerMillion != -1, "PRICE_PER_MILLION is %g: it cannot be negative, but for -1", c.PricePerMillion),
		fault.If(!(c.BudgetPerDay >= 0), "BUDGET_PER_DAY is %g: it cannot be negative", c.BudgetPerDay),
	)
}

// checkPrice returns an error where there is a budget, and no price of the model to count it by. One that is known to be
// free may have budgets in the pipeline file.
func (c Config) checkPrice(model string) error {
	price, known := ListPrice(model)
	switch free := known && price == 0; {
	case c.priceOf(model) > 0:
	case c.BudgetPerDay > 0:
		return fmt.Errorf("FRESHET_EMBED_BUDGET_PER_DAY is %g, and the price of model %s is not known: set FRESHET_EMBED_PRICE_PER_MILLION", c.BudgetPerDay, model)
	case len(c.Budgets) > 0 && !free:
		return fmt.Errorf("pipelines have a budgetPerDay, and the price of model %s is not known: set FRESHET_EMBED_PRICE_PER_MILLION", model)
	}
	return nil
}

func (c Config) priceOf(model string) float64 {
	if c.PricePerMillion >= 0 {
		return c.PricePerMillion
	}
	price, _ := ListPrice(model)
	return price
}

// ListPrice returns what OpenAI charges for a million tokens of a model, in USD
// (platform.openai.com/docs/pricing), by its name with or without a vendor before it. The built-in
// model costs nothing. known is false for others: a guess would be taken for a promise.
func ListPrice(model string) (perMillion float64, known bool) {
	perMillion, known = map[string]float64{
		"text-embedding-3-large": 0.13, "text-embedding-3-small": 0.02, "text-embedding-ada-002": 0.10, "use-lite": 0,
	}[path.Base(model)]
	return perMillion, known
}

// What OpenAI documents of its models (platform.openai.com/docs/guides/embeddings),
// and a bound for all others: about as much English.
const (
	openAITokens = 8191
	otherBytes   = 32 << 10
)

func (c Config) limitOf(model string) (limit, error) {
	l := limit{tokens: cmp.Or(max(c.MaxTokens, 0), openAITokens), bytes: cmp.Or(max(c.MaxBytes, 0), otherBytes)}
	ofOpenAI := slices.Contains([]string{"text-embedding-3-large", "text-embedding-3-small", "text-embedding-ada-002"}, path.Base(model))
	if c.Tokenizer != "cl100k" && (c.Tokenizer != "auto" || !ofOpenAI) {
		return l, nil
	}
	var err error
	if l.codec, err = tokenizer.Get(tokenizer.Cl100kBase); err != nil {
		return limit{}, fmt.Errorf("loading the tokenizer: %w", err)
	}
	return l, nil
}

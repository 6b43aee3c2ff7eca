package record

import (
	"encoding/json"
	"fmt"
	"time"
)

// Cost is an entry of the cost ledger: the tokens of one pipeline's texts, at one replica of
// embed, in one hour. A later entry of the same key replaces it.
type Cost struct {
	Hour       time.Time         `json:"hour"` // its beginning, UTC
	Collection string            `json:"collection"`
	Pipeline   string            `json:"pipeline"`
	Replica    string            `json:"replica"` // one start of one process
	Currency   string            `json:"currency"`
	Price      float64           `json:"price"`   // of a million tokens
	Tenants    map[string]Tokens `json:"tenants"` // "" where items have none; OtherTenants for those that are too many
}

// OtherTenants stands for the tenants that an entry does not name.
const OtherTenants = "*"

// Tokens counts what was and what was not paid for.
type Tokens struct {
	Paid  int64 `json:"paid"`  // all that the provider charged
	Again int64 `json:"again"` // those of them whose text had been paid before
	Saved int64 `json:"saved"` // not paid, since the vector was known; estimated
}

// Plus returns the sum of both.
func (t Tokens) Plus(u Tokens) Tokens {
	return Tokens{Paid: t.Paid + u.Paid, Again: t.Again + u.Again, Saved: t.Saved + u.Saved}
}

// Paid returns the tokens that all tenants paid for.
func (c *Cost) Paid() int64 {
	var sum int64
	for _, t := range c.Tenants {
		sum += t.Paid
	}
	return sum
}

// Key returns the key under which the ledger keeps only the last entry.
func (c *Cost) Key() string {
	return fmt.Sprintf("%s/%s/%s/%s", c.Hour.UTC().Format("2006-01-02T15"), c.Collection, c.Pipeline, c.Replica)
}

// Encode returns the entry as JSON.
func (c *Cost) Encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding cost entry %s: %w", c.Key(), err)
	}
	return b, nil
}

// DecodeCost reads an entry.
func DecodeCost(b []byte) (*Cost, error) {
	var c Cost
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("decoding a cost entry: %w", err)
	}
	return &c, nil
}

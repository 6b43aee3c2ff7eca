package main

import (
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/record"
)

// ledgered are entries of two replicas, as they are in the topic: some replace earlier ones.
func ledgered() []*record.Cost {
	entry := func(hour, collection, replica, currency string, price float64, tenants map[string]record.Tokens) *record.Cost {
		at, err := time.Parse("2006-01-02T15", hour)
		if err != nil {
			panic(err)
		}
		return &record.Cost{Hour: at, Collection: collection, Pipeline: "p", Replica: replica, Currency: currency, Price: price, Tenants: tenants}
	}
	return []*record.Cost{
		entry("2026-11-28T23", "Product", "a", "USD", 0.13, map[string]record.Tokens{"": {Paid: 999}}), // before the period
		entry("2026-11-29T00", "Product", "a", "USD", 0.13, map[string]record.Tokens{"": {Paid: 1}}),   // replaced
		entry("2026-11-29T00", "Product", "a", "USD", 0.13, map[string]record.Tokens{"": {Paid: 1_000_000, Saved: 4_000_000}}),
		entry("2026-11-29T00", "Product", "b", "USD", 0.26, map[string]record.Tokens{"shop-1": {Paid: 1_000_000, Again: 500_000}, "*": {Paid: 10}}),
		entry("2026-11-30T23", "Review", "b", "EUR", 1, map[string]record.Tokens{"shop-1": {Paid: 2_000_000}}),
		entry("2026-12-01T00", "Review", "b", "EUR", 1, map[string]record.Tokens{"": {Paid: 999}}), // after the period
	}
}

func TestCost_printsTheLastEntryOfEachKeyAtThePriceOfItsTime(t *testing.T) {
	for by, want := range map[string]string{
		"day": `
DAY            PAID   AGAIN    SAVED    COST  COST AGAIN  COST SAVED  CURRENCY
2026-11-29  2000010  500000  4000000  0.3900      0.1300      0.5200  USD
2026-11-30  2000000       0        0  2.0000      0.0000      0.0000  EUR
(all)       2000000       0        0  2.0000      0.0000      0.0000  EUR
(all)       2000010  500000  4000000  0.3900      0.1300      0.5200  USD
`,
		"hour": `
HOUR                 PAID   AGAIN    SAVED    COST  COST AGAIN  COST SAVED  CURRENCY
2026-11-29 00:00  2000010  500000  4000000  0.3900      0.1300      0.5200  USD
2026-11-30 23:00  2000000       0        0  2.0000      0.0000      0.0000  EUR
(all)             2000000       0        0  2.0000      0.0000      0.0000  EUR
(all)             2000010  500000  4000000  0.3900      0.1300      0.5200  USD
`,
		"collection": `
COLLECTION     PAID   AGAIN    SAVED    COST  COST AGAIN  COST SAVED  CURRENCY
Product     2000010  500000  4000000  0.3900      0.1300      0.5200  USD
Review      2000000       0        0  2.0000      0.0000      0.0000  EUR
(all)       2000000       0        0  2.0000      0.0000      0.0000  EUR
(all)       2000010  500000  4000000  0.3900      0.1300      0.5200  USD
`,
		"tenant": `
TENANT       PAID   AGAIN    SAVED    COST  COST AGAIN  COST SAVED  CURRENCY
-         1000000       0  4000000  0.1300      0.0000      0.5200  USD
(others)       10       0        0  0.0000      0.0000      0.0000  USD
shop-1    2000000       0        0  2.0000      0.0000      0.0000  EUR
shop-1    1000000  500000        0  0.2600      0.1300      0.0000  USD
(all)     2000000       0        0  2.0000      0.0000      0.0000  EUR
(all)     2000010  500000  4000000  0.3900      0.1300      0.5200  USD
`,
	} {
		if got := printed(t, by, "table"); got != want[1:] {
			t.Errorf("by %s\n%s\nwant\n%s", by, got, want)
		}
	}
}

func TestCost_printsJSONForScripts(t *testing.T) {
	want := `{"from":"2026-11-29T00:00:00Z","to":"2026-12-01T00:00:00Z","by":"pipeline",` +
		`"lines":[{"group":"p","currency":"EUR","tokens":{"paid":2000000,"again":0,"saved":0},"money":{"paid":2,"again":0,"saved":0}},` +
		`{"group":"p","currency":"USD","tokens":{"paid":2000010,"again":500000,"saved":4000000},"money":{"paid":0.3900026,"again":0.13,"saved":0.52}}],` +
		`"sums":[{"currency":"EUR","tokens":{"paid":2000000,"again":0,"saved":0},"money":{"paid":2,"again":0,"saved":0}},` +
		`{"currency":"USD","tokens":{"paid":2000010,"again":500000,"saved":4000000},"money":{"paid":0.3900026,"again":0.13,"saved":0.52}}]}` + "\n"
	if got := printed(t, "pipeline", "json"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func printed(t *testing.T, by, output string) string {
	t.Helper()
	p, err := periodOf("2026-11-29", "2026-11-30", by, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := billOf(ledgered(), p).print(&out, output); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCost_saysThatNothingWasPaid(t *testing.T) {
	p, err := periodOf("", "2026-11-30", "day", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := billOf(nil, p).print(&out, "table"); err != nil || out.String() != "nothing was paid or saved from 2026-11-01 to 2026-11-30\n" {
		t.Errorf("%s, %v", out.String(), err)
	}
}

func TestCost_refusesAPeriodThatIsNone(t *testing.T) {
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ from, to, by, says string }{
		{"yesterday", "", "day", "--from yesterday: a day is written YYYY-MM-DD"},
		{"", "30.11.2026", "day", "--to 30.11.2026: a day is written YYYY-MM-DD"},
		{"2026-12-01", "", "day", "--from 2026-12-01 is after --to 2026-11-30"},
		{"", "", "week", "--by week: one of collection, day, hour, pipeline, tenant"},
	} {
		if _, err := periodOf(tt.from, tt.to, tt.by, now); err == nil || err.Error() != tt.says {
			t.Errorf("%v, want %s", err, tt.says)
		}
	}
}

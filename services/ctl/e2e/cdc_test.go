package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver of PostgreSQL
	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/builtin"
)

const (
	cdcRows   = 300 // of each table, before anybody captures it
	cdcRounds = 10
	cdcRound  = 260 // changes of a table
	// cdcBound is how long all may take to arrive. The model is what everything waits for.
	cdcBound = 10 * time.Minute
)

// TestCDC has real databases changed, captured by the real Debezium and indexed by the real services, while ingest and
// Kafka Connect are killed, and compares each table with the index. FRESHET_TEST_SEED gives other changes.
func TestCDC(t *testing.T) {
	if os.Getenv("FRESHET_TEST_CDC") == "" {
		t.Skip("SKIPPED: `make test-cdc` runs it")
	}
	c := newCDC(t)
	c.startAll()
	connect := startConnect(t, c.brokers, c.connectors())
	ports.add(connect.Address(0))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Kafka Connect: %v", connect.check(context.WithoutCancel(t.Context())))
		}
	})
	for n := range cdcRounds {
		c.round(n, connect)
	}
	for _, table := range c.tables {
		table.heal()
	}
	c.arrive()
	c.compareLetters()
	c.report()
	c.control()
}

// cdc is the databases, and what is captured and indexed of them.
type cdc struct {
	*cdcJudge

	postgres *local.Server
	mariadb  *local.Server
	tables   [4]*cdcTable
	verdicts [4]cdcVerdict
}

func newCDC(t *testing.T) *cdc {
	t.Helper()
	c := &cdc{postgres: startPostgres(t), mariadb: startMariaDB(t)}
	ports.add(c.postgres.Address(0), c.mariadb.Address(0))
	c.tables = [...]*cdcTable{
		{name: "catalog.products", prefix: "pg", collection: "PgProduct", postgres: true},
		{name: "catalog.offers", prefix: "pgs", collection: "PgOffer", postgres: true, full: true, composite: true, schemas: true},
		{name: "shop.products", prefix: "my", collection: "MyProduct"},
		{name: "shop.offers", prefix: "mys", collection: "MyOffer", composite: true, schemas: true},
	}
	c.fill(t, seedOr(t, 7))
	model, err := builtin.New()
	if err != nil {
		t.Fatal(err)
	}
	kafka := startKafka(t)
	c.cdcJudge = &cdcJudge{model: model, vectors: map[string][]float32{}, rig: newRig(t, options{
		brokers: kafka.Brokers, pipeline: c.pipelines(), partitions: 6, sourcePartitions: 3,
	})}
	return c
}

// fill makes the tables and their first rows, of which Debezium takes a snapshot.
func (c *cdc) fill(t *testing.T, seed uint64) {
	t.Helper()
	pg, my := c.open(t)
	for i, table := range c.tables {
		table.t, table.db = t, my
		if table.postgres {
			table.db = pg
		}
		table.dice = rand.New(rand.NewPCG(seed, uint64(i)))
		table.long, table.lost, table.off = map[cdcKey]bool{}, map[cdcKey]bool{}, map[cdcKey]bool{}
		table.create()
		for range cdcRows {
			table.insert(table.newKey())
		}
		table.commit(true)
		table.changes = 0
	}
}

// open connects to the databases, and makes the schema and the database of the tables.
func (c *cdc) open(t *testing.T) (pg, my *sql.DB) {
	t.Helper()
	to := mysql.NewConfig()
	to.Net, to.Addr, to.User, to.InterpolateParams = "tcp", c.mariadb.Address(0), "root", true
	for _, db := range []struct {
		to                 **sql.DB
		driver, url, first string
	}{
		{&pg, "pgx", "postgres://postgres@" + c.postgres.Address(0) + "/postgres", "create schema catalog"},
		{&my, "mysql", to.FormatDSN(), "create database shop"},
	} {
		opened, err := sql.Open(db.driver, db.url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = opened.Close() })
		if _, err := opened.ExecContext(t.Context(), db.first); err != nil {
			t.Fatalf("%s: %v", db.first, err)
		}
		*db.to = opened
	}
	return pg, my
}

// pipelines is the pipeline file, with one for each table.
func (c *cdc) pipelines() string {
	parts := []string{"apiVersion: freshet/v1\nspace: {provider: builtin, model: use-lite, dimensions: 512}\npipelines:\n"}
	for _, table := range c.tables {
		parts = append(parts, table.pipeline())
	}
	return strings.Join(parts, "")
}

// connectors returns one for each table.
func (c *cdc) connectors() []settings {
	var all []settings
	for _, table := range c.tables {
		database := c.mariadb.Address(0)
		if table.postgres {
			database = c.postgres.Address(0)
		}
		all = append(all, table.connector(database, c.brokers))
	}
	return all
}

// round has all tables changed, and something happen meanwhile.
func (c *cdc) round(n int, connect *connectWorker) {
	c.t.Helper()
	switch n {
	case 2:
		for _, table := range c.tables {
			table.addColumn()
		}
	case 5:
		await(c.t, cdcBound, "a restart of Kafka Connect takes no second snapshot", func() (bool, error) {
			return connect.streams(c.t.Context()) == nil, nil
		})
		if err := connect.Kill(); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, table := range c.tables {
		table.work(cdcRound)
	}
	switch n {
	case 3, 7:
		c.killIngest()
	case 5:
		if err := connect.Restart(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
}

// killIngest kills ingest while it has something to do.
func (c *cdc) killIngest() {
	c.t.Helper()
	await(c.t, cdcBound, "ingest has something to do", func() (bool, error) {
		n, err := c.unfinished("ingest")
		return err == nil && n > 0, nil
	})
	ingest := c.running["ingest"]
	ingest.kill()
	ingest.start()
}

// arrive waits until the index equals the tables, and compares them once more when nothing is left to be done.
func (c *cdc) arrive() {
	c.t.Helper()
	defer func() {
		if c.t.Failed() {
			c.report()
		}
	}()
	next := time.Now()
	await(c.t, cdcBound, "the index equals the tables", func() (bool, error) {
		for _, p := range c.running {
			if err := p.failure(); err != nil {
				return false, err
			}
		}
		if time.Now().Before(next) {
			return false, nil
		}
		equal, err := c.equal()
		next = time.Now().Add(3 * time.Second)
		return equal, err
	})
	c.settle(cdcBound)
	if _, err := c.equal(); err != nil {
		c.t.Fatal(err)
	}
}

// equal compares all tables.
func (c *cdc) equal() (equal bool, err error) {
	equal = true
	for i, table := range c.tables {
		if c.verdicts[i], err = c.compare(c.t.Context(), table); err != nil {
			return false, err
		}
		equal = equal && len(c.verdicts[i].different) == 0
	}
	return equal, nil
}

// report prints what was found, and fails where anything is different.
func (c *cdc) report() {
	c.t.Helper()
	lines := []string{fmt.Sprintf("%-28s %6s %8s %13s %10s %8s %7s", "table", "rows", "changes", "in the index", "different", "letters", "healed")}
	changes := 0
	for i, table := range c.tables {
		v := c.verdicts[i]
		changes += table.changes
		lines = append(lines, fmt.Sprintf("%-28s %6d %8d %13d %10d %8d %7d", table.prefix+": "+table.name, v.rows, table.changes, v.indexed, len(v.different), v.letters, table.healed))
		for _, d := range v.different[:min(len(v.different), 10)] {
			c.t.Errorf("%s: %s", table.name, d)
		}
	}
	c.t.Logf("\n%s", strings.Join(lines, "\n"))
	if changes < 10_000 {
		c.t.Errorf("%d changes are not enough", changes)
	}
}

// compareLetters wants a dead letter for each key that changed alone while PostgreSQL left the long description out, and
// no other. One that is captured again is the same change.
func (c *cdc) compareLetters() {
	c.t.Helper()
	changes := map[string]map[string]bool{} // by topic
	for _, l := range c.letters() {
		topic, _, _ := strings.Cut(string(l.at), "/")
		if l.reason != string(fault.UnavailableValue) || l.stage != "ingest" {
			c.t.Errorf("a dead letter of %s, from %s: %s: %.300s", l.stage, l.at, l.reason, l.value)
			continue
		}
		if changes[topic] == nil {
			changes[topic] = map[string]bool{}
		}
		changes[topic][gjson.Get(l.value, "source.lsn").Raw+gjson.Get(l.value, "after.id").Raw] = true
	}
	for i, table := range c.tables {
		c.verdicts[i].letters = len(changes[table.topic()])
		if got := c.verdicts[i].letters; got != table.letters || table.letters == 0 && i == 0 {
			c.t.Errorf("%s: dead letters of %d changes, want %d", table.name, got, table.letters)
		}
	}
}

// control shows that a difference is seen: rows change in all ways while nobody looks.
func (c *cdc) control() {
	c.t.Helper()
	c.running["ingest"].stop()
	for _, table := range c.tables {
		table.control()
	}
	if _, err := c.equal(); err != nil {
		c.t.Fatal(err)
	}
	for i, table := range c.tables {
		if got := len(c.verdicts[i].different); got != 4 {
			c.t.Errorf("%s: 4 rows changed behind the back of the index, and %d are seen: %v", table.name, got, c.verdicts[i].different)
		}
	}
}

package e2e_test

import (
	"cmp"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// cdcColumn is a column of the tables, in both databases, and the property that the pipelines make of it.
type cdcColumn struct {
	name       string
	pg, my     string // its type
	kind       string // of the property; empty: none
	called     string // the property; empty: as the column
	made       string // further words of the property
	madeOfMy   string // and with MariaDB
	pgAs, myAs string // what shows it as the test reads it; empty: itself
	addedLater bool
}

// property returns the name of the property.
func (c cdcColumn) property() string { return cmp.Or(c.called, c.name) }

const (
	pgTime = `to_char(%s at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
	myTime = `date_format(%s, '%%Y-%%m-%%dT%%H:%%i:%%s.%%fZ')`
)

var cdcColumns = []cdcColumn{
	{name: "shop", pg: "int not null", my: "int not null"},
	{name: "id", pg: "bigint not null", my: "bigint not null"},
	{name: "name", pg: "text not null", my: "varchar(200) not null", kind: "text"},
	{name: "description", pg: "text", my: "mediumtext"},
	{name: "active", pg: "boolean not null", my: "tinyint(1) not null"},
	{name: "price", pg: "numeric(12,2)", my: "decimal(12,2)", kind: "number", made: "decimal: {scale: 2}"},
	{name: "weight", pg: "numeric", my: "decimal(20,6)", kind: "number", made: "decimal: {scale: 6}"},
	{name: "stock", pg: "int not null", my: "int not null", kind: "int"},
	{name: "rating", pg: "real", my: "float", kind: "number"},
	{name: "code", pg: "uuid", my: "char(36)", kind: "uuid"},
	{
		name: "attrs", pg: "jsonb", my: "json",
		kind: "text", called: "colour", made: "from: attrs.colour, parse: json",
		pgAs: "attrs->>'colour'", myAs: "json_value(attrs, '$.colour')",
	},
	{name: "tags", pg: "text[]", my: "json", kind: "text[]", madeOfMy: "parse: json", pgAs: "to_json(tags)"},
	{
		name: "made", pg: "date", my: "date", kind: "date", made: "unit: d",
		pgAs: strings.ReplaceAll(pgTime, "%s", "made::timestamp"), myAs: fmt.Sprintf(myTime, "made"),
	},
	{
		name: "updated", pg: "timestamptz", my: "datetime(6)", kind: "date", made: "unit: us",
		pgAs: fmt.Sprintf(pgTime, "updated"), myAs: fmt.Sprintf(myTime, "updated"),
	},
	{name: "brand", pg: "text", my: "varchar(80)", kind: "text", addedLater: true},
}

// cdcKey is the primary key of a row: of both, or of the id alone.
type cdcKey struct{ shop, id int64 }

// cdcTable is a table, what captures it, and where it is indexed.
type cdcTable struct {
	t          *testing.T
	dice       *rand.Rand
	db         *sql.DB
	postgres   bool
	name       string // with its schema or database
	prefix     string // of the connector's topics
	collection string
	composite  bool // the key has two columns
	full       bool // PostgreSQL logs whole rows before
	schemas    bool // its messages carry their schemas

	keys    []cdcKey
	long    map[cdcKey]bool // whose description PostgreSQL keeps apart, and leaves out where it does not change
	lost    map[cdcKey]bool // whose description came with no change since the key has changed
	off     map[cdcKey]bool // which are not to be found
	next    int64
	branded bool // has the column that is added later
	changes int
	letters int // that keys which change alone must give
	healed  int // rows whose long text no event had before it changed
	queue   []cdcStatement
}

type cdcStatement struct {
	text string
	args []any
}

func (c *cdcTable) topic() string { return c.prefix + "." + c.name }

// create makes the table.
func (c *cdcTable) create() {
	c.t.Helper()
	var lines []string
	for _, column := range cdcColumns {
		if !column.addedLater {
			lines = append(lines, column.name+" "+c.typeOf(column))
		}
	}
	c.exec(fmt.Sprintf("create table %s (%s, primary key (%s))", c.name, strings.Join(lines, ", "), strings.Join(c.keyColumns(), ", ")))
	if c.postgres {
		c.exec("alter table " + c.name + " alter description set storage external")
	}
	if c.full {
		c.exec("alter table " + c.name + " replica identity full")
	}
}

// addColumn adds the column that the pipeline waits for. It has no default: rows that are there would get it without any
// event.
func (c *cdcTable) addColumn() {
	c.t.Helper()
	for _, column := range cdcColumns {
		if column.addedLater {
			c.exec(fmt.Sprintf("alter table %s add column %s %s", c.name, column.name, c.typeOf(column)))
		}
	}
	c.branded = true
}

func (c *cdcTable) typeOf(column cdcColumn) string {
	if c.postgres {
		return column.pg
	}
	return column.my
}

func (c *cdcTable) keyColumns() []string {
	if c.composite {
		return []string{"shop", "id"}
	}
	return []string{"id"}
}

func (c *cdcTable) exec(statement string) {
	c.t.Helper()
	if _, err := c.db.ExecContext(c.t.Context(), statement); err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
}

// bound numbers the parameters where PostgreSQL wants that.
func (c *cdcTable) bound(statement string) string {
	if !c.postgres {
		return statement
	}
	parts := strings.Split(statement, "?")
	for i := range parts[1:] {
		parts[i] += fmt.Sprint("$", i+1)
	}
	return strings.Join(parts, "")
}

// pipeline is the table's part of the pipeline file.
func (c *cdcTable) pipeline() string {
	active := "1"
	if c.postgres {
		active = "true"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `- name: %s
  source: {topics: [%s], format: debezium}
  collection: %s
  id: {from: [%s]}
  text: {template: "{{name}}\n{{description | strip_html | truncate 40}}"}
  when: [{field: active, eq: %s}]
  properties:
`, strings.ToLower(c.collection), c.topic(), c.collection, strings.Join(c.keyColumns(), ", "), active)
	for _, column := range cdcColumns {
		if column.kind == "" {
			continue
		}
		words := []string{"name: " + column.property(), fmt.Sprintf("type: %q", column.kind), column.made}
		if !c.postgres {
			words = append(words, column.madeOfMy)
		}
		words = slices.DeleteFunc(words, func(word string) bool { return word == "" })
		fmt.Fprintf(&b, "  - {%s}\n", strings.Join(words, ", "))
	}
	return b.String()
}

// connector captures the table, with Debezium's defaults but for what must be said. The names of all that must differ
// between connectors are the prefix.
func (c *cdcTable) connector(database, brokers string) settings {
	host, port, _ := strings.Cut(database, ":")
	one := settings{
		"name": c.prefix, "topic.prefix": c.prefix, "table.include.list": c.name,
		"database.hostname": host, "database.port": port, "database.password": "",
		"topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "1",
	}
	if c.postgres {
		maps.Copy(one, settings{
			"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.user": "postgres",
			"database.dbname": "postgres", "plugin.name": "pgoutput", "slot.name": c.prefix,
			"publication.name": c.prefix, "publication.autocreate.mode": "filtered",
		})
	} else {
		maps.Copy(one, settings{
			"connector.class": "io.debezium.connector.mariadb.MariaDbConnector", "database.user": "root",
			"database.server.id": strconv.Itoa(100 + len(c.prefix)), "database.include.list": "shop",
			"schema.history.internal.kafka.bootstrap.servers": brokers,
			"schema.history.internal.kafka.topic":             "history." + c.prefix,
		})
	}
	if c.schemas {
		for _, of := range []string{"key", "value"} {
			one[of+".converter"] = "org.apache.kafka.connect.json.JsonConverter"
			one[of+".converter.schemas.enable"] = "true"
		}
	}
	return one
}

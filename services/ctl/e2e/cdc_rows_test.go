package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// insert makes a row of a new key, or of one that was deleted.
func (c *cdcTable) insert(key cdcKey) {
	names := []string{"shop", "id"}
	args := []any{key.shop, key.id}
	set := func(name string, value any) { names, args = append(names, name), append(args, value) }
	set("name", c.words())
	set("description", c.description(key))
	c.off[key] = c.dice.IntN(12) == 0
	set("active", !c.off[key])
	set("price", c.orNull(c.price()))
	set("weight", c.orNull(fmt.Sprintf("%d.%06d", c.dice.IntN(100_000), c.dice.IntN(1_000_000))))
	set("stock", c.dice.IntN(1000))
	set("rating", c.orNull(float64(c.dice.IntN(20))/4))
	set("code", c.orNull(fmt.Sprintf("%08x-0000-4000-8000-%012x", c.dice.Uint32(), key.id%1000)))
	set("attrs", c.orNull(fmt.Sprintf(`{"colour": "%s", "size": [1, 2]}`, pick(c.dice, "红", "blue", "", "🟢"))))
	set("tags", c.tags())
	set("made", c.orNull(fmt.Sprintf("%d-%02d-%02d", 1950+c.dice.IntN(90), 1+c.dice.IntN(12), 1+c.dice.IntN(28))))
	set("updated", c.orNull(c.moment()))
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(names)), ", ")
	c.add(fmt.Sprintf("insert into %s (%s) values (%s)", c.name, strings.Join(names, ", "), marks), args...)
	c.keys = append(c.keys, key)
	delete(c.lost, key)
}

// newKey returns a key that was never there. Some are above what a double can tell apart.
func (c *cdcTable) newKey() cdcKey {
	c.next++
	id := c.next
	if id%5 == 0 {
		id += 1 << 53
	}
	return cdcKey{1 + c.next%3, id}
}

func (c *cdcTable) add(statement string, args ...any) {
	c.queue = append(c.queue, cdcStatement{statement, args})
}

// update changes columns of a row.
func (c *cdcTable) update(key cdcKey, set string, args ...any) {
	c.add(fmt.Sprintf("update %s set %s where shop = ? and id = ?", c.name, set), append(args, key.shop, key.id)...)
}

// remove deletes a row; at is its place in keys.
func (c *cdcTable) remove(at int) cdcKey {
	key := c.keys[at]
	c.add(fmt.Sprintf("delete from %s where shop = ? and id = ?", c.name), key.shop, key.id)
	c.forget(at)
	return key
}

func (c *cdcTable) forget(at int) {
	last := len(c.keys) - 1
	c.keys[at] = c.keys[last]
	c.keys = c.keys[:last]
}

// move changes the primary key of a row. Where PostgreSQL leaves a long description out of the new row, no event has it
// until it changes.
func (c *cdcTable) move(at int) {
	from, to := c.keys[at], c.newKey()
	set, args := "shop = ?, id = ?", []any{to.shop, to.id}
	if c.long[from] && c.dice.IntN(2) == 0 {
		set, args = set+", description = ?", append(args, c.description(to))
	} else {
		c.long[to] = c.long[from]
		c.lost[to] = c.postgres && !c.full && c.long[from]
		if c.lost[to] && !c.off[from] {
			c.letters++
		}
	}
	c.off[to] = c.off[from]
	c.update(from, set, args...)
	c.forget(at)
	c.keys = append(c.keys, to)
}

// heal changes the descriptions that no event has had.
func (c *cdcTable) heal() {
	for _, key := range c.keys {
		if c.lost[key] {
			c.update(key, "description = concat(description, '!')")
			c.healed++
		}
	}
	c.commit(true)
}

// change makes one change, or two that belong together, as a shop does: mostly of prices.
func (c *cdcTable) change() {
	at := c.dice.IntN(len(c.keys))
	key := c.keys[at]
	switch n := c.dice.IntN(100); {
	case n < 40:
		c.update(key, "price = ?", c.orNull(c.price()))
	case n < 52:
		c.update(key, "stock = stock + 1, updated = ?", c.orNull(c.moment()))
	case n < 58:
		c.update(key, "name = ?", c.words())
	case n < 66:
		c.update(key, "description = ?", c.description(key))
		delete(c.lost, key)
	case n < 70:
		c.update(key, "weight = null, rating = null, code = null, attrs = null, tags = null, made = null")
	case n < 74:
		c.update(key, "tags = ?, rating = ?", c.tags(), float64(c.dice.IntN(20))/4)
	case n < 77:
		c.off[key] = !c.off[key]
		c.update(key, "active = ?", !c.off[key])
	case n < 83 && c.branded:
		c.update(key, "brand = ?", c.orNull(pick(c.dice, "阿里", "Acme", "Bexley")))
	case n < 90:
		c.insert(c.newKey())
	case n < 94:
		c.remove(at)
	case n < 96:
		c.insert(c.remove(at))
	default:
		c.move(at)
	}
}

// control changes a property of one row and the text of another, deletes one, and shows one that was not to be found.
func (c *cdcTable) control() {
	c.t.Helper()
	shown := slices.DeleteFunc(slices.Clone(c.keys), func(key cdcKey) bool { return c.off[key] })
	hidden := slices.DeleteFunc(slices.Clone(c.keys), func(key cdcKey) bool { return !c.off[key] })
	c.update(shown[0], "price = 123456.78")
	c.update(shown[1], "name = 'control'")
	c.update(hidden[0], "active = ?", true)
	c.remove(slices.Index(c.keys, shown[2]))
	c.commit(true)
}

// commit runs what is queued in one transaction, or runs it and takes it back.
func (c *cdcTable) commit(really bool) {
	c.t.Helper()
	tx, err := c.db.BeginTx(c.t.Context(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // without effect once it is committed
	for _, s := range c.queue {
		if _, err := tx.ExecContext(c.t.Context(), c.bound(s.text), s.args...); err != nil {
			c.t.Fatalf("%s %v: %v", s.text, s.args, err)
		}
	}
	if really {
		err = tx.Commit()
		c.changes += len(c.queue)
	} else {
		err = tx.Rollback()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.queue = nil
}

// work makes n changes, in transactions of all sizes, some of which are rolled back.
func (c *cdcTable) work(n int) {
	c.t.Helper()
	for end := c.changes + n; c.changes < end; {
		for range 1 + c.dice.IntN(30) {
			c.change()
		}
		c.commit(true)
		if c.dice.IntN(10) == 0 {
			c.update(c.keys[0], "name = 'never'")
			c.commit(false)
		}
	}
}

func (c *cdcTable) orNull(value any) any {
	if c.dice.IntN(10) == 0 {
		return nil
	}
	return value
}

func (c *cdcTable) price() string {
	return fmt.Sprintf("%d.%02d", c.dice.IntN(1000)-10, c.dice.IntN(100))
}

func (c *cdcTable) moment() string {
	return fmt.Sprintf("20%02d-03-04 05:06:%02d.%06d", c.dice.IntN(60), c.dice.IntN(60), c.dice.IntN(1_000_000))
}

func (c *cdcTable) tags() any {
	switch n := c.dice.IntN(4); {
	case n == 0:
		return nil
	case c.postgres:
		return [...]string{"{}", "{女装}", `{女装,"a, \"b\"",🎉}`}[n-1]
	default:
		return [...]string{"[]", `["女装"]`, `["女装","a, \"b\"","🎉"]`}[n-1]
	}
}

func (c *cdcTable) words() string {
	adjective := pick(c.dice, "red", "红色", "quiet", "waterproof", "防水", "\"quoted\" \\", "<b>bold</b>", "🎉")
	noun := pick(c.dice, "tent", "连衣裙", "headset", "手机壳", "kettle", "雨衣", "lamp 💡", "boots")
	return fmt.Sprintf("%s %s %d", adjective, noun, c.dice.IntN(30))
}

// description returns one of no, of some, or of so many words that PostgreSQL keeps it apart from its row. The template
// takes the beginning only, so that the model is not what the test waits for.
func (c *cdcTable) description(key cdcKey) any {
	n := c.dice.IntN(10)
	c.long[key] = n > 3
	switch {
	case n == 0:
		return nil
	case n < 4:
		return "short: " + c.words()
	default:
		return "long: " + c.words() + strings.Repeat(pick(c.dice, " 多彩棉质，透气舒适。", " <p>words &amp; 🎈</p>", " and so on"), 260)
	}
}

func pick(dice *rand.Rand, from ...string) string { return from[dice.IntN(len(from))] }

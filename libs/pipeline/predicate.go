package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Truth is the outcome of conditions on a row.
type Truth int8

// What conditions can be.
const (
	False Truth = iota
	True
	// Unknown: it hangs on a column that the row does not carry. Taking it for null
	// would show a soft-deleted item again when a minimal row image comes along.
	Unknown
	// Mistyped: a value cannot be compared with the file's. Taking it for false would
	// delete a whole catalogue for one wrong word in the file.
	Mistyped
)

// Conditions are predicates that must all be true.
type Conditions []condition

type condition struct {
	path Path
	test func(gjson.Result) Truth
}

// CompileConditions checks predicates and prepares them.
func CompileConditions(predicates []Predicate) (Conditions, error) {
	var compiled Conditions
	var faults []error
	for _, p := range predicates {
		c, err := p.compile()
		if err != nil {
			faults = append(faults, fmt.Errorf("field %q: %w", p.Field, err))
		}
		compiled = append(compiled, c)
	}
	return compiled, errors.Join(faults...)
}

func (p Predicate) compile() (condition, error) {
	path, err := ParsePath(p.Field)
	if err != nil {
		return condition{}, err
	}
	set := 0
	for _, is := range []bool{p.Eq != nil, p.Ne != nil, p.In != nil, p.Exists != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return condition{}, errors.New("needs exactly one of eq, ne, in and exists (for null say exists: false)")
	}
	c := condition{path: path}
	switch {
	case p.Exists != nil:
		want := *p.Exists
		c.test = func(v gjson.Result) Truth { return truth((v.Type != gjson.Null) == want) }
	case p.Eq != nil:
		c.test, err = oneOf([]any{p.Eq})
	case p.In != nil:
		c.test, err = oneOf(p.In)
	default:
		equal, fault := oneOf([]any{p.Ne})
		err, c.test = fault, func(v gjson.Result) Truth { return equal(v).not() }
	}
	return c, err
}

func oneOf(operands []any) (func(gjson.Result) Truth, error) {
	if len(operands) == 0 {
		return nil, errors.New("in: is empty, so no row would pass")
	}
	tests := make([]func(gjson.Result) Truth, len(operands))
	for i, o := range operands {
		test, err := equals(o)
		if err != nil {
			return nil, err
		}
		tests[i] = test
	}
	return func(v gjson.Result) Truth {
		found := False
		for _, test := range tests {
			if t := test(v); t != False {
				found = t
			}
			if found == True {
				break
			}
		}
		return found
	}, nil
}

// equals compares in the operand's type: sources write a boolean as true, 1 or
// "1", and a decimal as 1.0 or "1.00", by their settings and not by their meaning.
func equals(operand any) (func(gjson.Result) Truth, error) {
	switch o := operand.(type) {
	case string:
		return func(v gjson.Result) Truth { return equalText(v, o) }, nil
	case bool:
		return func(v gjson.Result) Truth { return equalBool(v, o) }, nil
	case int, int64, uint64, json.Number:
		return equalNumber(fmt.Sprint(o))
	case float64:
		return equalNumber(strconv.FormatFloat(o, 'f', -1, 64))
	}
	return nil, fmt.Errorf("%v is no text, number, true or false", operand)
}

func equalNumber(operand string) (func(gjson.Result) Truth, error) {
	want, ok := CanonicalNumber(operand)
	if !ok {
		return nil, fmt.Errorf("%s is no number", operand)
	}
	return func(v gjson.Result) Truth {
		var raw string
		switch v.Type {
		case gjson.Null:
			return False
		case gjson.True:
			raw = "1"
		case gjson.False:
			raw = "0"
		case gjson.Number:
			raw = v.Raw
		case gjson.String:
			raw = v.Str
		case gjson.JSON:
			return Mistyped
		}
		have, ok := CanonicalNumber(raw)
		if !ok {
			return Mistyped
		}
		return truth(have == want)
	}, nil
}

func equalText(v gjson.Result, want string) Truth {
	switch v.Type {
	case gjson.Null:
		return False
	case gjson.JSON:
		return Mistyped
	case gjson.String:
		return truth(v.Str == want)
	case gjson.True, gjson.False, gjson.Number:
	}
	return truth(v.Raw == want)
}

func equalBool(v gjson.Result, want bool) Truth {
	if v.Type == gjson.Null {
		return False
	}
	have, ok := Bool(v)
	if !ok {
		return Mistyped
	}
	return truth(have == want)
}

// Bool returns a JSON value as the boolean that sources mean by it: true and
// false, 1 and 0, as such or as text. It reports false for everything else.
func Bool(v gjson.Result) (value, ok bool) {
	text := v.Raw
	if v.Type == gjson.String {
		text = strings.ToLower(v.Str)
	}
	switch text {
	case "true", "1", "t":
		return true, v.Type != gjson.JSON
	case "false", "0", "f":
		return false, v.Type != gjson.JSON
	}
	return false, false
}

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

func (t Truth) not() Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	case Unknown, Mistyped:
	}
	return t
}

// Eval judges a row, and names the column that made it Unknown or Mistyped. One
// false condition decides even where others are unknown.
func (c Conditions) Eval(row Row) (verdict Truth, column string) {
	verdict = True
	for i := range c {
		value := row.Get(c[i].path)
		t := Unknown
		if value.Exists() {
			t = c[i].test(value)
		}
		switch {
		case t == Mistyped:
			return Mistyped, c[i].path.Column
		case t == False:
			verdict, column = False, ""
		case t == Unknown && verdict == True:
			verdict, column = Unknown, c[i].path.Column
		}
	}
	return verdict, column
}

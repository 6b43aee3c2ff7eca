package values

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
)

// maxExact is the highest integer that the index keeps exactly: its numbers are doubles.
const maxExact = 1 << 53

var (
	errNoText    = errors.New("is an object or a list where a text is expected")
	errNoNumber  = errors.New("is no number, but true, false, an object or a list")
	errTextNo    = errors.New("is no number, but a text")
	errBytesNo   = errors.New("is no number, but a text: if it is a decimal in bytes, set decimal: {scale: …} with the scale of its column")
	errFinite    = errors.New("is no finite number")
	errNoInt     = errors.New("is no whole number")
	errExact     = errors.New("is beyond 2^53, which the index cannot keep exactly: map it as text")
	errNoBool    = errors.New("is neither true nor false, 1 nor 0")
	errCountDate = errors.New("is a count where a date is expected: declare its unit")
	errInfinite  = errors.New("is no finite date: map it as text")
	errNoUUID    = errors.New("is no UUID")
	errNoList    = errors.New("is no list")
	errNullItem  = errors.New("is a list with a null in it")
	errType      = errors.New("has a type that is not known")
)

// Typed returns a normalised value as a property of the given type. v is not null.
func Typed(v gjson.Result, t pipeline.Type) (*record.Value, error) {
	switch t {
	case pipeline.TypeText:
		s, err := text(v)
		return &record.Value{Kind: &record.Value_Text{Text: s}}, err
	case pipeline.TypeNumber:
		n, err := number(v)
		return &record.Value{Kind: &record.Value_Number{Number: n}}, err
	case pipeline.TypeInt:
		n, err := integer(v)
		return &record.Value{Kind: &record.Value_Integer{Integer: n}}, err
	case pipeline.TypeBool:
		b, err := boolean(v)
		return &record.Value{Kind: &record.Value_Boolean{Boolean: b}}, err
	case pipeline.TypeDate:
		s, err := date(v)
		return &record.Value{Kind: &record.Value_Date{Date: s}}, err
	case pipeline.TypeUUID:
		s, err := uuidOf(v)
		return &record.Value{Kind: &record.Value_Uuid{Uuid: s}}, err
	case pipeline.TypeTexts:
		list, err := elements(v, text)
		return &record.Value{Kind: &record.Value_Texts{Texts: &record.TextList{Values: list}}}, err
	case pipeline.TypeNumbers:
		list, err := elements(v, number)
		return &record.Value{Kind: &record.Value_Numbers{Numbers: &record.NumberList{Values: list}}}, err
	case pipeline.TypeInts:
		list, err := elements(v, integer)
		return &record.Value{Kind: &record.Value_Integers{Integers: &record.IntegerList{Values: list}}}, err
	case pipeline.TypeBooleans:
		list, err := elements(v, boolean)
		return &record.Value{Kind: &record.Value_Booleans{Booleans: &record.BooleanList{Values: list}}}, err
	case pipeline.TypeDates:
		list, err := elements(v, date)
		return &record.Value{Kind: &record.Value_Dates{Dates: &record.TextList{Values: list}}}, err
	}
	return nil, errType
}

func elements[T any](v gjson.Result, read func(gjson.Result) (T, error)) ([]T, error) {
	if !v.IsArray() {
		return nil, errNoList
	}
	var list []T
	var err error
	v.ForEach(func(_, element gjson.Result) bool {
		if element.Type == gjson.Null {
			err = errNullItem
			return false
		}
		var value T
		if value, err = read(element); err != nil {
			return false
		}
		list = append(list, value)
		return true
	})
	return list, err
}

func text(v gjson.Result) (string, error) {
	if v.Type == gjson.JSON {
		return "", errNoText
	}
	return pipeline.TextOf(v), nil
}

// digits returns the canonical digits of a number, also of one written as a text.
func digits(v gjson.Result) (string, error) {
	raw := v.Raw
	switch v.Type {
	case gjson.Number:
	case gjson.String:
		raw = v.Str
	case gjson.Null, gjson.True, gjson.False, gjson.JSON:
		return "", errNoNumber
	}
	canonical, ok := pipeline.CanonicalNumber(raw)
	if ok {
		return canonical, nil
	}
	switch strings.ToLower(strings.TrimLeft(raw, "+-")) {
	case "nan", "infinity", "inf":
		return "", errFinite
	}
	if mayBeDecimal(raw) {
		return "", errBytesNo
	}
	return "", errTextNo
}

func number(v gjson.Result) (float64, error) {
	canonical, err := digits(v)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(canonical, 64)
	if err != nil || math.IsInf(n, 0) {
		return 0, errFinite
	}
	return n, nil
}

func integer(v gjson.Result) (int64, error) {
	canonical, err := digits(v)
	if err != nil {
		return 0, err
	}
	if strings.Contains(canonical, ".") {
		return 0, errNoInt
	}
	n, err := strconv.ParseInt(canonical, 10, 64)
	if err != nil || n > maxExact || n < -maxExact {
		return 0, errExact
	}
	return n, nil
}

func boolean(v gjson.Result) (bool, error) {
	b, ok := pipeline.Bool(v)
	if !ok {
		return false, errNoBool
	}
	return b, nil
}

// IsZeroDate reports whether v is MySQL's zero date, 0000-00-00 with or without a time of zeros: Canal and Maxwell write it
// as it stands, where MySQL itself, its drivers and Debezium take it for null.
func IsZeroDate(v gjson.Result) bool {
	return v.Type == gjson.String && strings.HasPrefix(v.Str, "0000-00-00") && strings.Trim(v.Str, "0-:. ") == ""
}

func date(v gjson.Result) (string, error) {
	if v.Type == gjson.Number {
		return "", errCountDate
	}
	if strings.EqualFold(strings.TrimLeft(v.Str, "+-"), "infinity") { // of PostgreSQL
		return "", errInfinite
	}
	t, err := Time(v)
	return t.Format(time.RFC3339Nano), err
}

func uuidOf(v gjson.Result) (string, error) {
	if v.Type != gjson.String || len(v.Str) != 36 { // Parse takes more forms than sources mean
		return "", errNoUUID
	}
	id, err := uuid.Parse(v.Str)
	if err != nil {
		return "", errNoUUID
	}
	return id.String(), nil
}

// IDPart returns a value as a part of an item's id: equal ids must be equal texts,
// whether they come from a row or a key. It reports false for null, objects and lists, and for what is no text: half of a
// surrogate pair, which would name the item of another one.
func IDPart(v gjson.Result) (part string, ok bool) {
	switch v.Type {
	case gjson.String:
		return v.Str, !Halved(v.Raw)
	case gjson.Number:
		return pipeline.CanonicalNumber(v.Raw)
	case gjson.True, gjson.False:
		return v.Raw, true
	case gjson.Null, gjson.JSON:
	}
	return "", false
}

package weaviate

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	pb "github.com/weaviate/weaviate/grpc/generated/protocol/v1"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
)

// maxInteger is the largest integer that is no other one's double: Weaviate keeps integers so.
const maxInteger = 1<<53 - 1

// Weaviate's filters keep dates as nanoseconds since 1970 in 64 bits, and those outside of these
// years come out as some other time.
const firstYear, lastYear = 1678, 2261

// putProperties adds an item's properties. Its error is a permanent fault that names the property
// and never its value. It refuses all that Weaviate would store otherwise than it was given.
func (c *collection) putProperties(p *pb.BatchObject_Properties, properties []*record.Property) error {
	seen := make(map[string]bool, len(properties))
	for _, property := range properties {
		name := property.GetName()
		should, ok := c.types[name]
		if !ok {
			return fault.Reject(fault.FieldType, "property %q is not in collection %s", name, c.spec.Name)
		}
		is, wrong := putValue(p, name, property.GetValue())
		switch {
		case is != should.Type:
			wrong = "is of another type"
		case seen[name]:
			wrong = "is there twice"
		case wrong == "" && is.Elem() == pipeline.TypeDate && (should.FilterableBy() || should.RangeFilters):
			wrong = checkYears(property.GetValue())
		}
		if wrong != "" {
			return fault.Reject(fault.FieldType, "property %s (%s) %s", name, should.Type, wrong)
		}
		seen[name] = true
	}
	return nil
}

// checkYears refuses dates that filters would take for others.
func checkYears(v *record.Value) string {
	for _, date := range append(v.GetDates().GetValues(), v.GetDate()) {
		t, err := time.Parse(time.RFC3339, date)
		if year := t.UTC().Year(); err == nil && (year < firstYear || year > lastYear) {
			return fmt.Sprintf("is outside of the years %d to %d that Weaviate's filters know: set filterable: false in the pipeline file to have it all the same", firstYear, lastYear)
		}
	}
	return ""
}

// putValue adds a value under name. It returns the value's type, and what is wrong with it or "".
func putValue(p *pb.BatchObject_Properties, name string, v *record.Value) (is pipeline.Type, wrong string) {
	set := func(v *structpb.Value) { p.NonRefProperties.Fields[name] = v }
	switch k := v.GetKind().(type) {
	case *record.Value_Text:
		set(structpb.NewStringValue(k.Text))
		return pipeline.TypeText, checkText(k.Text)
	case *record.Value_Number:
		set(structpb.NewNumberValue(k.Number))
		return pipeline.TypeNumber, checkNumber(k.Number)
	case *record.Value_Integer:
		set(structpb.NewNumberValue(float64(k.Integer)))
		return pipeline.TypeInt, checkInteger(k.Integer)
	case *record.Value_Boolean:
		set(structpb.NewBoolValue(k.Boolean))
		return pipeline.TypeBool, ""
	case *record.Value_Date:
		set(structpb.NewStringValue(k.Date))
		return pipeline.TypeDate, checkDate(k.Date)
	case *record.Value_Uuid:
		set(structpb.NewStringValue(k.Uuid))
		return pipeline.TypeUUID, checkUUID(k.Uuid)
	}
	return putList(p, name, v)
}

func putList(p *pb.BatchObject_Properties, name string, v *record.Value) (is pipeline.Type, wrong string) {
	texts := func(values []string) {
		p.TextArrayProperties = append(p.TextArrayProperties, &pb.TextArrayProperties{PropName: name, Values: values})
	}
	switch k := v.GetKind().(type) {
	case *record.Value_Texts:
		texts(k.Texts.GetValues())
		return pipeline.TypeTexts, firstWrong(k.Texts.GetValues(), checkText)
	case *record.Value_Dates:
		texts(k.Dates.GetValues())
		return pipeline.TypeDates, firstWrong(k.Dates.GetValues(), checkDate)
	case *record.Value_Numbers:
		var b []byte
		for _, f := range k.Numbers.GetValues() {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
		}
		p.NumberArrayProperties = append(p.NumberArrayProperties, &pb.NumberArrayProperties{PropName: name, ValuesBytes: b})
		return pipeline.TypeNumbers, firstWrong(k.Numbers.GetValues(), checkNumber)
	case *record.Value_Integers:
		p.IntArrayProperties = append(p.IntArrayProperties, &pb.IntArrayProperties{PropName: name, Values: k.Integers.GetValues()})
		return pipeline.TypeInts, firstWrong(k.Integers.GetValues(), checkInteger)
	case *record.Value_Booleans:
		p.BooleanArrayProperties = append(p.BooleanArrayProperties, &pb.BooleanArrayProperties{PropName: name, Values: k.Booleans.GetValues()})
		return pipeline.TypeBooleans, ""
	}
	return "", ""
}

func firstWrong[T any](values []T, check func(T) string) string {
	for _, v := range values {
		if wrong := check(v); wrong != "" {
			return "has a value that " + wrong
		}
	}
	return ""
}

func checkText(s string) string {
	if !utf8.ValidString(s) {
		return "is no valid UTF-8"
	}
	return ""
}

func checkNumber(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "is no finite number"
	}
	return ""
}

func checkInteger(n int64) string {
	if n > maxInteger || n < -maxInteger {
		return "is not below 2^53, where Weaviate loses digits"
	}
	return ""
}

func checkDate(s string) string {
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return "is no RFC 3339 date"
	}
	return ""
}

func checkUUID(s string) string {
	if id, err := uuid.Parse(s); err != nil || len(s) != len(id.String()) {
		return "is no UUID"
	}
	return ""
}

// valueOf returns an answer's value of a type, nil for a type that is not Freshet's.
func valueOf(t pipeline.Type, v *pb.Value) *record.Value {
	switch list := v.GetListValue(); t {
	case pipeline.TypeText:
		return &record.Value{Kind: &record.Value_Text{Text: v.GetTextValue()}}
	case pipeline.TypeNumber:
		return &record.Value{Kind: &record.Value_Number{Number: v.GetNumberValue()}}
	case pipeline.TypeInt:
		return &record.Value{Kind: &record.Value_Integer{Integer: v.GetIntValue()}}
	case pipeline.TypeBool:
		return &record.Value{Kind: &record.Value_Boolean{Boolean: v.GetBoolValue()}}
	case pipeline.TypeDate:
		return &record.Value{Kind: &record.Value_Date{Date: v.GetDateValue()}}
	case pipeline.TypeUUID:
		return &record.Value{Kind: &record.Value_Uuid{Uuid: v.GetUuidValue()}}
	case pipeline.TypeTexts:
		return &record.Value{Kind: &record.Value_Texts{Texts: &record.TextList{Values: list.GetTextValues().GetValues()}}}
	case pipeline.TypeDates:
		return &record.Value{Kind: &record.Value_Dates{Dates: &record.TextList{Values: list.GetDateValues().GetValues()}}}
	case pipeline.TypeNumbers:
		values := unpack(list.GetNumberValues().GetValues(), math.Float64frombits)
		return &record.Value{Kind: &record.Value_Numbers{Numbers: &record.NumberList{Values: values}}}
	case pipeline.TypeInts:
		values := unpack(list.GetIntValues().GetValues(), func(bits uint64) int64 { return int64(bits) }) //nolint:gosec // the bits of a signed number
		return &record.Value{Kind: &record.Value_Integers{Integers: &record.IntegerList{Values: values}}}
	case pipeline.TypeBooleans:
		return &record.Value{Kind: &record.Value_Booleans{Booleans: &record.BooleanList{Values: list.GetBoolValues().GetValues()}}}
	}
	return nil
}

// unpack reads a packed list of numbers, 8 bytes each.
func unpack[T any](b []byte, from func(bits uint64) T) []T {
	var values []T
	for ; len(b) >= 8; b = b[8:] {
		values = append(values, from(binary.LittleEndian.Uint64(b)))
	}
	return values
}

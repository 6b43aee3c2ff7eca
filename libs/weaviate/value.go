package weaviate

import (
	"encoding/binary"
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

// maxInteger is 2^53: Weaviate keeps integers as doubles, and those above it lose their last digits.
const maxInteger = 1 << 53

// converter carries values of one type into a request and out of an answer.
type converter struct {
	// put adds the value under name. It returns "" or what is wrong with the value.
	put func(p *pb.BatchObject_Properties, name string, v *record.Value) string
	get func(v *pb.Value) *record.Value
}

const wrongKind = "is of another type"

var converters = map[pipeline.Type]converter{
	pipeline.TypeText:     {putText, getText},
	pipeline.TypeNumber:   {putNumber, getNumber},
	pipeline.TypeInt:      {putInteger, getInteger},
	pipeline.TypeBool:     {putBoolean, getBoolean},
	pipeline.TypeDate:     {putDate, getDate},
	pipeline.TypeUUID:     {putUUID, getUUID},
	pipeline.TypeTexts:    {putTexts, getTexts},
	pipeline.TypeNumbers:  {putNumbers, getNumbers},
	pipeline.TypeInts:     {putIntegers, getIntegers},
	pipeline.TypeBooleans: {putBooleans, getBooleans},
	pipeline.TypeDates:    {putDates, getDates},
}

// putProperties adds an item's properties. Its error is a permanent fault that names the property
// and never its value. It refuses all that Weaviate would store otherwise than it was given.
func (c *collection) putProperties(p *pb.BatchObject_Properties, properties []*record.Property) error {
	for _, property := range properties {
		name := property.GetName()
		t, ok := c.types[name]
		if !ok {
			return fault.Reject(fault.FieldType, "property %q is not in collection %s", name, c.spec.Name)
		}
		if wrong := converters[t].put(p, name, property.GetValue()); wrong != "" {
			return fault.Reject(fault.FieldType, "property %s (%s) %s", name, t, wrong)
		}
	}
	return nil
}

func set(p *pb.BatchObject_Properties, name string, v *structpb.Value) {
	p.NonRefProperties.Fields[name] = v
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
		return "is beyond 2^53, where Weaviate loses digits"
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

func putText(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	k, ok := v.GetKind().(*record.Value_Text)
	if !ok {
		return wrongKind
	}
	set(p, name, structpb.NewStringValue(k.Text))
	return checkText(k.Text)
}

func putNumber(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	k, ok := v.GetKind().(*record.Value_Number)
	if !ok {
		return wrongKind
	}
	set(p, name, structpb.NewNumberValue(k.Number))
	return checkNumber(k.Number)
}

func putInteger(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	k, ok := v.GetKind().(*record.Value_Integer)
	if !ok {
		return wrongKind
	}
	set(p, name, structpb.NewNumberValue(float64(k.Integer)))
	return checkInteger(k.Integer)
}

func putBoolean(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	k, ok := v.GetKind().(*record.Value_Boolean)
	if !ok {
		return wrongKind
	}
	set(p, name, structpb.NewBoolValue(k.Boolean))
	return ""
}

func putDate(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	k, ok := v.GetKind().(*record.Value_Date)
	if !ok {
		return wrongKind
	}
	set(p, name, structpb.NewStringValue(k.Date))
	return checkDate(k.Date)
}

func putUUID(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	k, ok := v.GetKind().(*record.Value_Uuid)
	if !ok {
		return wrongKind
	}
	set(p, name, structpb.NewStringValue(k.Uuid))
	return checkUUID(k.Uuid)
}

func putTexts(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	if _, ok := v.GetKind().(*record.Value_Texts); !ok {
		return wrongKind
	}
	return putStrings(p, name, v.GetTexts().GetValues(), checkText)
}

func putDates(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	if _, ok := v.GetKind().(*record.Value_Dates); !ok {
		return wrongKind
	}
	return putStrings(p, name, v.GetDates().GetValues(), checkDate)
}

func putStrings(p *pb.BatchObject_Properties, name string, values []string, check func(string) string) string {
	p.TextArrayProperties = append(p.TextArrayProperties, &pb.TextArrayProperties{PropName: name, Values: values})
	return firstWrong(values, check)
}

func putNumbers(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	if _, ok := v.GetKind().(*record.Value_Numbers); !ok {
		return wrongKind
	}
	values := v.GetNumbers().GetValues()
	var b []byte
	for _, f := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	p.NumberArrayProperties = append(p.NumberArrayProperties, &pb.NumberArrayProperties{PropName: name, ValuesBytes: b})
	return firstWrong(values, checkNumber)
}

func putIntegers(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	if _, ok := v.GetKind().(*record.Value_Integers); !ok {
		return wrongKind
	}
	values := v.GetIntegers().GetValues()
	p.IntArrayProperties = append(p.IntArrayProperties, &pb.IntArrayProperties{PropName: name, Values: values})
	return firstWrong(values, checkInteger)
}

func putBooleans(p *pb.BatchObject_Properties, name string, v *record.Value) string {
	if _, ok := v.GetKind().(*record.Value_Booleans); !ok {
		return wrongKind
	}
	p.BooleanArrayProperties = append(p.BooleanArrayProperties, &pb.BooleanArrayProperties{PropName: name, Values: v.GetBooleans().GetValues()})
	return ""
}

func firstWrong[T any](values []T, check func(T) string) string {
	for _, v := range values {
		if wrong := check(v); wrong != "" {
			return "has a value that " + wrong
		}
	}
	return ""
}

func getText(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Text{Text: v.GetTextValue()}}
}

func getNumber(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Number{Number: v.GetNumberValue()}}
}

func getInteger(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Integer{Integer: v.GetIntValue()}}
}

func getBoolean(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Boolean{Boolean: v.GetBoolValue()}}
}

func getDate(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Date{Date: v.GetDateValue()}}
}

func getUUID(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Uuid{Uuid: v.GetUuidValue()}}
}

func getTexts(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Texts{Texts: &record.TextList{Values: v.GetListValue().GetTextValues().GetValues()}}}
}

func getDates(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Dates{Dates: &record.TextList{Values: v.GetListValue().GetDateValues().GetValues()}}}
}

func getNumbers(v *pb.Value) *record.Value {
	b := v.GetListValue().GetNumberValues().GetValues()
	list := &record.NumberList{}
	for ; len(b) >= 8; b = b[8:] {
		list.Values = append(list.Values, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return &record.Value{Kind: &record.Value_Numbers{Numbers: list}}
}

func getIntegers(v *pb.Value) *record.Value {
	b := v.GetListValue().GetIntValues().GetValues()
	list := &record.IntegerList{}
	for ; len(b) >= 8; b = b[8:] {
		list.Values = append(list.Values, int64(binary.LittleEndian.Uint64(b))) //nolint:gosec // the bits of a signed number
	}
	return &record.Value{Kind: &record.Value_Integers{Integers: list}}
}

func getBooleans(v *pb.Value) *record.Value {
	return &record.Value{Kind: &record.Value_Booleans{Booleans: &record.BooleanList{Values: v.GetListValue().GetBoolValues().GetValues()}}}
}

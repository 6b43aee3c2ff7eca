package record

import (
	"fmt"
	"strings"
)

// Any returns the value in the Go type that JSON encodes as it should look: nil
// where there is none.
func (v *Value) Any() any {
	switch k := v.GetKind().(type) {
	case *Value_Text:
		return k.Text
	case *Value_Number:
		return k.Number
	case *Value_Integer:
		return k.Integer
	case *Value_Boolean:
		return k.Boolean
	case *Value_Date:
		return k.Date
	case *Value_Uuid:
		return k.Uuid
	case *Value_Texts:
		return k.Texts.GetValues()
	case *Value_Numbers:
		return k.Numbers.GetValues()
	case *Value_Integers:
		return k.Integers.GetValues()
	case *Value_Booleans:
		return k.Booleans.GetValues()
	case *Value_Dates:
		return k.Dates.GetValues()
	}
	return nil
}

// Display returns the value for people, lists joined by commas.
func (v *Value) Display() string {
	if list, ok := v.Any().([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(v.Any())
}

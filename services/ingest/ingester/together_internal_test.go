package ingester

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
)

func TestTogether_isBounded(t *testing.T) {
	var errs []error
	for n := range 30 {
		errs = append(errs, fault.Reject(fault.FieldType, "column %d", n))
	}
	text := together(errs).Error()
	if strings.Count(text, "; and ") != maxReasons || !strings.HasPrefix(text, "field-type: column 0; and field-type: column 1; and ") || !strings.HasSuffix(text, "column 9; and 20 more") {
		t.Error(text)
	}
}

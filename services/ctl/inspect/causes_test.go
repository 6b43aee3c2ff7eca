package inspect

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
)

func TestMending_eachReasonOfADeadLetterHasItsCure(t *testing.T) {
	for _, reason := range fault.Reasons {
		if mending[reason] == "" {
			t.Errorf("nothing says what to do about %s", reason)
		}
	}
}

func TestBecause_theTableHasEachCause(t *testing.T) {
	for code, of := range causes {
		args := make([]any, strings.Count(of.summary, "%"))
		for i := range args {
			if args[i] = "x"; strings.Contains(of.summary, "%d") && i == 0 {
				args[i] = 1
			}
		}
		if c := because(code, "", args...); c.Summary == "" || strings.Contains(c.Summary, "%!") {
			t.Errorf("%s says %q", code, c.Summary)
		}
	}
}

package chaos

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// An oracle that used the stages' own code would be wrong together with it.
func TestOracle_knowsNothingOfTheStages(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "oracle_test.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range file.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		if strings.Contains(path, "freshet") && !slices.Contains([]string{"github.com/freshet-io/freshet/libs/record"}, path) {
			t.Errorf("the oracle imports %s", path)
		}
	}
}

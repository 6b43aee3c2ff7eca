package chaos

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// An oracle that used the stages' own code would be wrong together with it.
func TestOracle_knowsNothingOfTheStages(t *testing.T) {
	for _, name := range []string{"oracle_test.go", "oracle_commits_test.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if strings.Contains(path, "freshet") && path != "github.com/freshet-io/freshet/libs/record" {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}

package main

import (
	"os"
	"strings"
	"testing"
)

func TestConfigTable_isThatOfTheDocumentAndHasNoSettingOfAService(t *testing.T) {
	var out strings.Builder
	cmd := rootCommand()
	cmd.SetArgs([]string{"config-table"})
	cmd.SetOut(&out)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil || !strings.Contains(string(document), "\n"+out.String()+"\n") {
		t.Errorf("docs/configuration.md has another table of the command's settings: run make generate (%v)\n%s", err, out.String())
	}
	for _, name := range []string{"FRESHET_ADMIN_ADDRESSES", "FRESHET_TRACES_LINK", "FRESHET_EMBEDDER_KEY"} {
		if strings.Count(out.String(), "| `"+name+"` |") != 1 {
			t.Errorf("%s is not in the table once", name)
		}
	}
	if strings.Contains(out.String(), "FRESHET_KAFKA_BROKERS") {
		t.Errorf("the table has settings of the services:\n%s", out.String())
	}
}

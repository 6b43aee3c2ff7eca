package main

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

func TestPrintLetters_namesThePlaceThatWhyTakes(t *testing.T) {
	letters := []inspect.Letter{{Stage: "ingest", Reason: "field-type", Item: "Product/4711", Source: "shop.catalog.products/1/8714", Text: "field-type: no number", Partition: 3, Offset: 12}}
	var out strings.Builder
	if err := printLetters(&out, "freshet.deadletters", letters, "table"); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); !strings.HasPrefix(lines[1], "freshet.deadletters/3/12  ") || lines[2] != "  Product/4711 of shop.catalog.products/1/8714: no number" {
		t.Error(out.String())
	}
}

func TestDlqList_refusesAReasonThatThereIsNot(t *testing.T) {
	for _, reason := range append([]fault.Reason{""}, fault.Reasons...) {
		if err := checkReason(string(reason)); err != nil {
			t.Error(err)
		}
	}
	cmd := dlqCommand()
	cmd.SetArgs([]string{"list", "--reason", "nope"})
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "nope") || !strings.Contains(err.Error(), string(fault.FieldType)) {
		t.Errorf("it says %v", err)
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/pipeline"
)

func TestSearch_refusesATenantThatWouldChooseNothing(t *testing.T) {
	divided := strings.Replace(planFile, "pipelines:", "collections: [{name: Product, multiTenancy: true}]\npipelines:", 1)
	divided = strings.Replace(divided, "  text:", "  tenant: {from: shop}\n  text:", 1)
	for name, tt := range map[string]struct {
		file    string
		flags   searchFlags
		refused bool
	}{
		"no tenants":                     {planFile, searchFlags{tenant: "x"}, true},
		"no tenants, by its name":        {planFile, searchFlags{tenant: "x", collection: "Product"}, true},
		"no tenant is asked for":         {planFile, searchFlags{}, false},
		"the tenant of an item":          {planFile, searchFlags{tenant: "x", like: "1"}, false},
		"a collection divided by tenant": {divided, searchFlags{tenant: "x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := pipeline.Parse([]byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.flags.checkTenant(file); (err != nil) != tt.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

package tests

import (
	"strings"
	"testing"
)

// The selftest stands where an operator would: it asks the services at their port, reads what ingest reads, as the services' user.
func TestSelftest_hasWhatTheServicesHave(t *testing.T) {
	over := []any{chart + "/ci/minimal-values.yaml", values{
		"adminPort":      8081,
		"schemaRegistry": values{"urls": []any{"https://registry:8081"}, "existingSecret": "registry-token"},
		"defaults": values{
			"kafka":    values{"sasl": values{"mechanism": "PLAIN", "existingSecret": "services-user"}},
			"extraEnv": []any{values{"name": "FRESHET_KAFKA_SASL_PASSWORD", "valueFrom": values{"secretKeyRef": values{"name": "vault", "key": "password"}}}},
		},
	}}
	for _, o := range render(t, chart, over...) {
		if o.Kind != "Pod" {
			continue
		}
		text := string(o.text)
		for _, want := range []string{"-admin:8081", "FRESHET_SCHEMA_REGISTRY_URL", "registry-token", "services-user", "FRESHET_KAFKA_SASL_PASSWORD"} {
			if !strings.Contains(text, want) {
				t.Errorf("it has no %s", want)
			}
		}
		if strings.Contains(text, "FRESHET_KAFKA_SASL_PASSWORD_FILE") {
			t.Error("the password is set twice")
		}
		return
	}
	t.Error("there is no selftest")
}

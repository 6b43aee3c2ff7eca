package tests

import (
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
)

// What is rendered is what the tests of rules and dashboards look at.
func TestMonitoring_isWhatTheTestsOfRulesAndDashboardsSee(t *testing.T) {
	list := render(t, chart, full)
	rendered := find[monitoringv1.PrometheusRule](t, list, "PrometheusRule", "freshet").Spec
	file := read[monitoringv1.PrometheusRuleSpec](t, chart+"/rules/freshet.yaml")
	if len(file.Groups) == 0 || len(rendered.Groups) != len(file.Groups) {
		t.Fatalf("%d groups of rules are rendered, not %d", len(rendered.Groups), len(file.Groups))
	}
	for i, group := range file.Groups {
		if len(rendered.Groups[i].Rules) != len(group.Rules) {
			t.Errorf("of %s %d rules are rendered, not %d", group.Name, len(rendered.Groups[i].Rules), len(group.Rules))
		}
	}
	for _, page := range glob(t, chart+"/dashboards/*.json") {
		name := filepath.Base(page)
		if find[corev1.ConfigMap](t, list, "ConfigMap", "freshet-dashboard-"+strings.TrimSuffix(name, ".json")).Data[name] == "" {
			t.Errorf("no ConfigMap has %s", name)
		}
	}
}

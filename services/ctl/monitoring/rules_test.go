package monitoring

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

const (
	rulesFile = "../../../charts/freshet/rules/freshet.yaml"
	testsFile = "../../../charts/freshet/rules/freshet.test.yaml"
	runbook   = "../../../docs/runbook.md"
)

type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// alerts returns the alerts of the rules file.
func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	read(t, rulesFile, &file)
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				all = append(all, rule)
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no alerts", rulesFile)
	}
	return all
}

func TestRules_eachAlertFiresAndDoesNotFireAsItShould(t *testing.T) {
	localtest.Promtool(t, "", "check", "rules", rulesFile)
	localtest.Promtool(t, "", "test", "rules", testsFile)
}

func TestRules_eachAlertHasATestOfBoth(t *testing.T) {
	var file struct {
		Tests []struct {
			Name    string
			Queries []struct {
				Samples []struct{ Labels string } `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	read(t, testsFile, &file)
	var fired []string
	for _, scenario := range file.Tests {
		if n := len(scenario.Queries); n < 2 || len(scenario.Queries[0].Samples) > 0 || len(scenario.Queries[n-1].Samples) == 0 {
			t.Errorf("scenario %q does not begin with a moment at which nothing fires, and end with one at which something does", scenario.Name)
			continue
		}
		for _, q := range scenario.Queries {
			for _, s := range q.Samples {
				_, name, _ := strings.Cut(s.Labels, `alertname="`)
				name, _, _ = strings.Cut(name, `"`)
				fired = append(fired, name)
			}
		}
	}
	for _, a := range alerts(t) {
		if !slices.Contains(fired, a.Alert) {
			t.Errorf("no scenario of %s has %s fire", filepath.Base(testsFile), a.Alert)
		}
	}
}

// parts are what the section of an alert has, in this order.
var parts = regexp.MustCompile(`(?s)^\*(page|ticket)\*\n\n\* \*\*Means:\*\* .+\n\* \*\*Users notice:\*\* .+\n\* \*\*First:\*\* .+\n\* \*\*Causes:\*\* .+\n\* \*\*Cure:\*\* .+$`)

func TestRunbook_hasASectionOfEachAlertAndOfNoOther(t *testing.T) {
	text, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for i, section := range strings.Split(string(text), "\n## ") {
		if name, body, _ := strings.Cut(section, "\n\n"); i > 0 {
			sections[name] = strings.TrimSpace(body)
		}
	}
	for _, a := range alerts(t) {
		body, ok := sections[a.Alert]
		delete(sections, a.Alert)
		switch severity := a.Labels["severity"]; {
		case !ok:
			t.Errorf("%s has no section", a.Alert)
		case !parts.MatchString(body):
			t.Errorf("the section of %s has not all parts: %s", a.Alert, parts)
		case !strings.HasPrefix(body, "*"+severity+"*"):
			t.Errorf("%s is a %s, and its section says otherwise", a.Alert, severity)
		}
		if link := a.Annotations["runbook_url"]; !strings.HasSuffix(link, "/docs/runbook.md#"+strings.ToLower(a.Alert)) {
			t.Errorf("%s links %q", a.Alert, link)
		}
		if a.Annotations["summary"] == "" {
			t.Errorf("%s has no summary", a.Alert)
		}
	}
	for name := range sections {
		t.Errorf("section %s is of no alert", name)
	}
}

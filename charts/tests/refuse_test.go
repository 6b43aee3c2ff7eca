package tests

import (
	"strings"
	"testing"
)

func TestChart_refuses(t *testing.T) {
	for name, c := range map[string]struct {
		path  string
		value any
		says  string
	}{
		"an unknown value":              {"write.replica", 3, "replica"},
		"an unknown nested value":       {"kafka.broker", "kafka:9092", "broker"},
		"no brokers":                    {"kafka.brokers", []string{}, "kafka.brokers is empty"},
		"another cluster without any":   {"sourceKafka.tls.enabled", true, "sourceKafka.brokers is empty"},
		"a user of no cluster":          {"selftest.sourceKafka.sasl.existingSecret", "user", "selftest.sourceKafka goes over sourceKafka"},
		"no pipeline file":              {"pipeline.file", "", "pipeline.file is empty"},
		"credentials that are nowhere":  {"kafka.sasl.mechanism", "PLAIN", "existingSecret"},
		"a password in a URL":           {"redis.url", "redis://user:pass@redis:6379", "redis.existingSecret"},
		"HTTP for everybody":            {"http.enabled", true, "who may send"},
		"more replicas than partitions": {"write.replicas", 25, "write.replicas=25 is above topics.partitions=24"},
		"more when it scales":           {"embed.autoscaling", values{"type": "keda", "maxReplicas": 25}, "embed.autoscaling.maxReplicas=25 is above"},
		"least above most":              {"embed.autoscaling.minReplicas", 13, "is above maxReplicas"},
		"percent of no CPU":             {"embed", values{"autoscaling": values{"type": "hpa"}, "resources": values{"requests": values{"cpu": nil}}}, "embed.resources.requests.cpu"},
		"a limit that nobody can read":  {"write.resources.limits.memory", "half", "write it as 512Mi"},
		"a setting that is misspelt":    {"write.env.FRESHET_BACTH_ITEMS", 3, "no setting of freshet-write. Is it FRESHET_BATCH_ITEMS?"},
		"a word too much":               {"defaults.env.FRESHET_LOG_LEVELS", 3, "no setting of any service. Is it FRESHET_LOG_LEVEL?"},
		"another service's setting":     {"write.env.FRESHET_EMBED_IN_FLIGHT", 3, "Is it FRESHET_WRITE_IN_FLIGHT?"},
		"a password in plain sight":     {"embed.env.FRESHET_OPENAI_KEY", "secret", "Is it FRESHET_OPENAI_KEY_FILE?"},
		"a port that nobody hears of":   {"defaults.env.FRESHET_ADMIN_ADDRESS", ":1", "set adminPort"},
		"a group that others await":     {"embed.env.FRESHET_EMBED_GROUP", "shop", "defaults.env"},
		"a password in extraEnv":        {"embed.extraEnv", []any{values{"name": "FRESHET_OPENAI_KEY", "value": "secret"}}, "embed.extraEnv has the value of FRESHET_OPENAI_KEY"},
		"a port in extraEnv":            {"write.extraEnv", []any{values{"name": "FRESHET_ADMIN_ADDRESS", "value": ":1"}}, "set adminPort"},
		"a group in extraEnv":           {"defaults.extraEnv", []any{values{"name": "FRESHET_EMBED_GROUP", "value": "shop"}}, "set it in defaults.env"},
		"KEDA without a region": {
			"kafka.sasl.mechanism", "AWS_MSK_IAM", "autoscaling.awsRegion is empty",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := []any{chart + "/ci/minimal-values.yaml", at(c.path, c.value)}
			if c.value == "AWS_MSK_IAM" {
				over = append(over, at("write.autoscaling.type", "keda"))
			}
			if _, err := template(t, chart, over...); err == nil {
				t.Errorf("%s is taken", c.path)
			} else if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s is refused without saying %q: %v", c.path, c.says, err)
			}
		})
	}
}

func TestChart_thatIsDisabledRendersNothing(t *testing.T) {
	over := values{"enabled": false, "networkPolicy": values{"enabled": true}, "extraObjects": []any{"kind: Other"}, "defaults": values{"autoscaling": values{"type": "keda"}}}
	if list := render(t, chart, full, over); len(list) > 0 {
		t.Errorf("%v", list)
	}
	// And a component of which another release has the pods.
	for _, o := range render(t, chart, full, at("write", values{"enabled": false, "autoscaling": values{"type": "keda"}})) {
		if o.Metadata.Name == "freshet-write" {
			t.Errorf("%v is rendered", o)
		}
	}
}

func TestChart_withItsDefaultsAloneSaysWhatIsMissing(t *testing.T) {
	if _, err := template(t, chart); err == nil || !strings.Contains(err.Error(), "pipeline.file is empty") {
		t.Error(err)
	}
}

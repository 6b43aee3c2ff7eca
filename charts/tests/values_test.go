package tests

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// change is how a value is changed for its effect to be seen, where its type does not say it.
type change struct {
	to   any
	with string // values that let it matter, over those of ci/full-values.yaml
}

// scaled has something to show for each way to scale.
const scaled = `
ingest: {autoscaling: {type: hpa}}
embed: {autoscaling: {type: keda}}
networkPolicy: {enabled: true}
`

const (
	ofSCRAM    = "kafka: {sasl: {mechanism: SCRAM-SHA-512}}"
	ofMSK      = "kafka: {sasl: {mechanism: AWS_MSK_IAM}}\ndefaults: {autoscaling: {awsRegion: eu-west-1}}"
	ownFile    = "pipeline: {existingConfigMap: '', file: 'apiVersion: freshet/v1'}"
	sendsOAuth = `kafka:
  sasl: {mechanism: OAUTHBEARER, oauth: {tokenUrl: "https://login.example.org", clientId: freshet}}
embed: {autoscaling: {triggerAuthentication: own}}`
	sendsToken = "kafka: {sasl: {mechanism: OAUTHBEARER}}\nembed: {autoscaling: {triggerAuthentication: own}}"
)

var (
	maps1 = []any{values{"changed": "x"}}
	peer  = []any{values{"ipBlock": values{"cidr": "10.0.0.0/8"}}}
)

var changes = map[string]change{
	"nameOverride":                        {to: "changed"},
	"fullnameOverride":                    {to: "changed"},
	"image.digest":                        {to: "sha256:" + strings.Repeat("b", 64)},
	"image.pullPolicy":                    {to: "Always"},
	"imagePullSecrets":                    {to: maps1},
	"serviceAccount.create":               {to: false},
	"pipeline.file":                       {to: "apiVersion: changed", with: ownFile},
	"pipeline.key":                        {to: "changed.yaml"},
	"kafka.brokers":                       {to: []any{"changed:9092"}},
	"kafka.sasl.mechanism":                {to: "PLAIN"},
	"kafka.sasl.userKey":                  {to: "changed", with: ofSCRAM},
	"kafka.sasl.oauth.tokenUrl":           {to: "", with: sendsOAuth},
	"kafka.sasl.oauth.clientId":           {with: sendsOAuth},
	"kafka.sasl.oauth.clientSecretKey":    {with: sendsOAuth},
	"kafka.sasl.oauth.caKey":              {with: sendsOAuth},
	"kafka.sasl.oauth.scopes":             {with: sendsOAuth},
	"kafka.sasl.oauth.audience":           {with: sendsOAuth},
	"kafka.sasl.oauth.extensions":         {with: sendsOAuth},
	"kafka.sasl.oauth.tokenKey":           {to: "changed", with: sendsToken},
	"sourceKafka.brokers":                 {to: []any{"changed:9092"}},
	"sourceKafka.sasl.mechanism":          {to: "PLAIN"},
	"sourceKafka.sasl.userKey":            {to: "changed", with: "sourceKafka: {sasl: {mechanism: PLAIN}}"},
	"sourceKafka.sasl.passwordKey":        {to: "changed", with: "sourceKafka: {sasl: {mechanism: PLAIN}}"},
	"sourceKafka.sasl.oauth.tokenUrl":     {to: ""},
	"sourceKafka.sasl.oauth.tokenKey":     {to: "changed", with: "sourceKafka: {sasl: {oauth: {tokenUrl: ''}}}"},
	"sourceKafka.tls.certKey":             {to: "tls.crt"},
	"schemaRegistry.urls":                 {to: []any{"http://changed:8081"}},
	"redis.url":                           {to: "redis://changed:6379"},
	"topics.partitions":                   {to: 96},
	"topics.minInSync":                    {to: 1},
	"selftest.kafka":                      {to: values{"tls": values{"existingSecret": "changed"}}},
	"topics.kafka":                        {to: values{"tls": values{"existingSecret": "changed"}}},
	"selftest.sourceKafka":                {to: values{"sasl": values{"existingSecret": "changed"}}},
	"topics.sourceKafka":                  {to: values{"sasl": values{"existingSecret": "changed"}}},
	"weaviate.url":                        {to: "http://changed:80"},
	"weaviate.grpc":                       {to: "changed:50051"},
	"openai.url":                          {to: "http://changed/v1"},
	"openai.backup.url":                   {to: "http://changed/v1"},
	"http.service.type":                   {to: "NodePort"},
	"log.format":                          {to: "json"},
	"log.level":                           {to: "warn"},
	"traces.slowAfter":                    {to: "7s"},
	"traces.sampleRatio":                  {to: 0.5},
	"monitoring.podMonitor.interval":      {to: "7s"},
	"networkPolicy.admin":                 {to: peer},
	"networkPolicy.http":                  {to: peer},
	"networkPolicy.egress.dns":            {to: peer},
	"networkPolicy.egress.kafka":          {to: peer},
	"networkPolicy.egress.sourceKafka":    {to: peer},
	"networkPolicy.egress.weaviate":       {to: peer},
	"networkPolicy.egress.openai":         {to: peer},
	"networkPolicy.egress.schemaRegistry": {to: peer},
	"networkPolicy.egress.redis":          {to: peer},
	"networkPolicy.egress.traces":         {to: peer},
	"networkPolicy.extraEgress":           {to: []any{values{"to": peer}}},
	"extraObjects":                        {to: maps1},
	"defaults.replicas":                   {with: "embed: {autoscaling: {type: none}}"},
	"defaults.autoscaling.targetCPU":      {with: "embed: {autoscaling: {type: hpa}}"},
	"defaults.autoscaling.type":           {to: "hpa"},
	"defaults.autoscaling.maxReplicas":    {to: 13},
	"defaults.autoscaling.awsRegion":      {to: "changed", with: ofMSK},
	"defaults.kafka":                      {to: values{"sasl": values{"existingSecret": "changed"}}},
	"defaults.resources.requests.memory":  {to: "300Mi"},
	"defaults.resources.limits.memory":    {to: "3Gi"},
	"defaults.topologySpreadConstraints":  {to: maps1},
	"defaults.tolerations":                {to: maps1},
	"defaults.env":                        {to: values{"FRESHET_QUEUE_RECORDS": 3}},
	"defaults.extraEnv":                   {to: []any{values{"name": "CHANGED", "value": "x"}}},
	"defaults.extraVolumes":               {to: maps1},
	"defaults.extraVolumeMounts":          {to: maps1},
}

// leaves returns the values of values.yaml that have none below them, by path.
func leaves(v any, path string, found map[string]any) {
	below, ok := v.(values)
	if !ok || len(below) == 0 {
		found[path] = v
		return
	}
	for name, value := range below {
		leaves(value, strings.TrimPrefix(path+"."+name, "."), found)
	}
}

func TestValues_eachChangesWhatIsRendered(t *testing.T) {
	all := map[string]any{}
	leaves(read[values](t, chart+"/values.yaml"), "", all)
	before := unchanged()
	for path := range changes {
		if _, ok := all[path]; !ok {
			t.Errorf("values.yaml has no %s any more", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if path == "global" || path == "ingest" || path == "embed" {
			continue // for charts above this one; and what is over defaults, below
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			matters(t, before, path, path, all[path])
		})
		// The same of a component's own value.
		if key, ok := strings.CutPrefix(path, "defaults."); ok {
			t.Run("embed."+key, func(t *testing.T) {
				t.Parallel()
				matters(t, before, path, "embed."+key, all[path])
			})
		}
	}
}

// matters renders the chart with and without a change at a path. The rule is that of the path's change, or of its default's type.
func matters(t *testing.T, unchanged func(testing.TB, string) []byte, rule, path string, standard any) {
	t.Helper()
	c := changes[rule]
	if c.to == nil {
		c.to = other(t, path, standard)
	}
	changed, err := template(t, chart, full, parse(t, scaled), parse(t, c.with), at(path, c.to))
	if err != nil && !strings.Contains(err.Error(), path) { // to refuse it is an effect, too
		t.Fatal(err)
	}
	if bytes.Equal(unchanged(t, c.with), changed) {
		t.Errorf("%s: %v changes nothing", path, c.to)
	}
}

// unchanged returns what renders the chart as it is before a change, once for each of its conditions.
func unchanged() func(testing.TB, string) []byte {
	var rendered sync.Map
	return func(t testing.TB, with string) []byte {
		t.Helper()
		once, _ := rendered.LoadOrStore(with, sync.OnceValues(func() ([]byte, error) {
			return template(t, chart, full, parse(t, scaled), parse(t, with))
		}))
		text, err := once.(func() ([]byte, error))()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// other returns a value of the same type as the one that stands at the path in what is rendered before.
func other(t testing.TB, path string, standard any) any {
	t.Helper()
	current := standard
	for _, layer := range []values{read[values](t, full), parse(t, scaled)} {
		if set, ok := lookup(layer, path); ok {
			current = set
		}
	}
	switch v := current.(type) {
	case bool:
		return !v
	case float64:
		return v + 1
	case string:
		return v + "x"
	case []any:
		return append(slices.Clone(v), "changed")
	case values, nil:
		if strings.HasSuffix(path, ".image") {
			return values{"tag": "changed"}
		}
		return values{"changed": "x"}
	default:
		t.Fatalf("%s is a %T", path, v)
		return nil
	}
}

func lookup(v values, path string) (any, bool) {
	name, rest, deeper := strings.Cut(path, ".")
	found, ok := v[name]
	if below, isMap := found.(values); ok && deeper && isMap {
		return lookup(below, rest)
	}
	return found, ok && !deeper
}

func parse(t testing.TB, text string) values {
	t.Helper()
	v := values{}
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMemoryLimit_isNineTenthsOfThePods(t *testing.T) {
	for _, quantity := range []any{"512Mi", "2Gi", "1.5Gi", "700M", "1G", "600000k", "536870912", 536870912} {
		list := render(t, chart, chart+"/ci/minimal-values.yaml", at("write.resources.limits.memory", quantity))
		limit := resource.MustParse(fmt.Sprint(quantity))
		expected := strconv.FormatInt(limit.Value()*9/10, 10)
		if got := environment(t, list, "write")["GOMEMLIMIT"]; !slices.Equal(got, []string{expected}) {
			t.Errorf("GOMEMLIMIT of %v is %v, not %s", quantity, got, expected)
		}
	}
	list := render(t, chart, chart+"/ci/minimal-values.yaml", at("write.resources", values{"limits": nil}))
	if got := environment(t, list, "write")["GOMEMLIMIT"]; got != nil {
		t.Errorf("without a limit GOMEMLIMIT is %v", got)
	}
}

// Helm's numbers are floating: 1000000 would be 1e+06 to a service, or to KEDA.
func TestValues_largeNumbersStayWhole(t *testing.T) {
	list := render(t, chart, chart+"/examples/keda-lag/values.yaml", parse(t, "embed: {env: {FRESHET_QUEUE_BYTES: 134217728}, autoscaling: {bulkLagThreshold: 1000000}}"))
	if got := environment(t, list, "embed")["FRESHET_QUEUE_BYTES"]; !slices.Equal(got, []string{"134217728"}) {
		t.Errorf("FRESHET_QUEUE_BYTES is %v", got)
	}
	if got := find[scaledObject](t, list, "ScaledObject", "freshet-embed").Spec.Triggers[1].Metadata["lagThreshold"]; got != "1000000" {
		t.Errorf("lagThreshold is %v", got)
	}
}

func TestReadme_hasTheValuesAsTheyAre(t *testing.T) {
	page, err := os.ReadFile(chart + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, append([]byte("```yaml\n"), text...)) {
		t.Error("charts/freshet/README.md does not show values.yaml as it is: run make generate")
	}
}

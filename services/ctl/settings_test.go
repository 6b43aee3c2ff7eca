package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/write/writer"
)

func TestLoad_aFaultOfThePipelineFileIsToldWithTheOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: freshet/v0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FRESHET_PIPELINE", file)
	t.Setenv("FRESHET_KAFKA_BROKERS", "nowhere:1")
	t.Setenv("FRESHET_KAFKA_METADATA_MIN_AGE", "soon")
	err := load(new(layoutConfig), io.Discard)
	if err == nil {
		t.Fatal("the settings are taken")
	}
	for _, fault := range []string{
		`FRESHET_KAFKA_METADATA_MIN_AGE: "soon" is no duration`,
		`pipeline.yaml": line 1: apiVersion: "freshet/v0" is not freshet/v1`,
	} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("no %s in\n%v", fault, err)
		}
	}
}

// Whoever reads of a fault copies the variable's name from it.
func TestLoad_eachFaultNamesItsVariablesWhole(t *testing.T) {
	var all struct {
		service.Config `inline:"true"`
		Ingest         ingester.Settings `inline:"true"`
		Embed          embedder.Settings `inline:"true"`
		Write          writer.Settings   `inline:"true"`
	}
	known := map[string]bool{"AWS_MSK_IAM": true}
	for _, s := range service.Settings(&all) {
		known[s.Name], known[s.Name+"_FILE"] = true, s.Secret
	}
	pipeline := "FRESHET_PIPELINE=../../docs/examples/pipeline.yaml"
	for _, environ := range []string{
		"LOG_FORMAT=xml TRACES_EXPORTER=paper TRACES_SAMPLE_RATIO=2 METRICS_EXPORTER=paper ADMIN_ADDRESS=9090",
		"TRACES_SLOW_AFTER=-1s QUEUE_RECORDS=0 WRITE_DOUBT=0s EMBED_IN_FLIGHT=0",
		"KAFKA_TLS_CA_FILE=ca KAFKA_SASL_USER=u KAFKA_FETCH_MAX_BYTES=0",
		"KAFKA_TLS_ENABLED=true KAFKA_TLS_KEY_FILE=key KAFKA_SASL_MECHANISM=PLAIN",
		"KAFKA_SASL_OAUTH_TOKEN_URL=https://idp",
		"KAFKA_SASL_MECHANISM=OAUTHBEARER", "KAFKA_SASL_MECHANISM=AWS_MSK_IAM KAFKA_SASL_USER=u", "KAFKA_SASL_MECHANISM=none",
		"SOURCE_KAFKA_BROKERS=b:1 SOURCE_KAFKA_SASL_MECHANISM=OAUTHBEARER SOURCE_KAFKA_SASL_OAUTH_TOKEN_URL=idp",
		"HTTP_ADDRESS=8080 HTTP_TLS_CLIENT_CA_FILE=ca HTTP_ALLOW_ANONYMOUS=true HTTP_MAX_IN_FLIGHT_BYTES=1 HTTP_WAIT=0s",
		"HTTP_ADDRESS=:8080 HTTP_TLS_KEY_FILE=key",
		"SCHEMA_REGISTRY_URL=registry:8081 SCHEMA_REGISTRY_USER=u SCHEMA_REGISTRY_TOKEN=t SCHEMA_REGISTRY_TIMEOUT=0s",
		"SCHEMA_REGISTRY_URL=http://u:p@registry SCHEMA_REGISTRY_PASSWORD=p SCHEMA_REGISTRY_TLS_CERT_FILE=cert",
		"REDIS_URL=redis://redis REDIS_TLS_CA_FILE=ca REDIS_BATCH=0", "REDIS_URL=redis://u:p@redis", "REDIS_URL=redis://redis/zero",
		"WEAVIATE_URL=weaviate:8080", "WEAVIATE_URL=http://u:p@weaviate",
		"OPENAI_URL=provider OPENAI_TIMEOUT=0s OPENAI_BACKUP_KEY=k", "OPENAI_URL=https://k@provider OPENAI_BACKUP_MODEL=m",
	} {
		err := service.Load(append(strings.Fields("FRESHET_"+strings.ReplaceAll(environ, " ", " FRESHET_")), pipeline, "FRESHET_KAFKA_BROKERS=a:1"), &all)
		if err == nil {
			t.Errorf("%s: no error", environ)
			continue
		}
		for line := range strings.SplitSeq(strings.TrimPrefix(err.Error(), "reading the configuration: "), "\n") {
			whole := false
			for _, name := range regexp.MustCompile(`\b[A-Z]+(_[A-Z0-9*]+)+`).FindAllString(line, -1) {
				whole = whole || known[name]
				if of, all := strings.CutSuffix(name, "_*"); !known[name] && (!all || !strings.HasPrefix(of, "FRESHET_")) {
					t.Errorf("%s: %s is no variable: %s", environ, name, line)
				}
			}
			if !whole {
				t.Errorf("%s: a line without a variable: %s", environ, line)
			}
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// topicsACL prints the rights for a pipeline file with a pattern, HTTP and a Redis stream.
func topicsACL(t *testing.T, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(file, []byte(`apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: 8}
pipelines:
- name: products
  source: {topics: ["shop.*.products"], format: debezium}
  collection: Product
  id: {from: [id]}
  text: {template: "{{name}}"}
- name: notes
  source: {topics: [shop.notes], format: rows, redis: {stream: "a note's"}}
  collection: Note
  id: {from: [id]}
  text: {template: "{{name}}"}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FRESHET_PIPELINE", file)
	t.Setenv("FRESHET_KAFKA_BROKERS", "nowhere:1")
	t.Setenv("FRESHET_EMBED_GROUP", "vectoriser")
	t.Setenv("FRESHET_SOURCE_KAFKA_BROKERS", "elsewhere:1")
	cmd := aclCommand()
	var out strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.Execute()
	return out.String(), err
}

func TestTopicsACL_commandsForKafkasTool(t *testing.T) {
	got, err := topicsACL(t, "-o", "commands", "--user", "ingest=User:CN=shop ingest", "--selftest-topic", "shop.eu.products")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`kafka-acls.sh --bootstrap-server "$SOURCE_BROKERS" --add --allow-principal 'User:CN=shop ingest' --topic shop. --resource-pattern-type prefixed --operation Read`,
		`kafka-acls.sh --bootstrap-server "$SOURCE_BROKERS" --add --allow-principal 'User:CN=shop ingest' --transactional-id 'freshet-redis-a note'\''s' --operation Write`,
		`kafka-acls.sh --bootstrap-server "$SOURCE_BROKERS" --add --allow-principal 'User:CN=shop ingest' --group freshet-ingest --operation Read`,
		`kafka-acls.sh --bootstrap-server "$BROKERS" --add --allow-principal 'User:CN=shop ingest' --group vectoriser --operation Describe`,
		`kafka-acls.sh --bootstrap-server "$SOURCE_BROKERS" --add --allow-principal User:freshet-selftest --topic shop.eu.products --operation Write`,
		`kafka-acls.sh --bootstrap-server "$SOURCE_BROKERS" --add --allow-principal User:freshet-selftest --group '*' --operation Describe`,
		`kafka-acls.sh --bootstrap-server "$BROKERS" --add --allow-principal User:freshet-selftest --group freshet-write --operation Describe`,
		`kafka-acls.sh --bootstrap-server "$BROKERS" --add --allow-principal User:freshet-embed --group vectoriser-bulk --operation Read`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line\n%s\nin\n%s", line, got)
		}
	}
}

func TestTopicsACL_usersOfStrimzi(t *testing.T) {
	got, err := topicsACL(t, "-o", "strimzi", "--cluster", "shop", "--source-cluster", "orders", "--authentication", "scram-sha-512")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"kind: KafkaUser", "name: freshet-write", "strimzi.io/cluster: shop", "type: scram-sha-512", "patternType: prefix\n", "type: transactionalId", "- DescribeConfigs"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
	// All have rights in the pipeline's cluster, and those in the sources' apart are of another.
	for cluster, want := range map[string]int{"shop": 5, "orders": 2} {
		if users := strings.Count(got, "strimzi.io/cluster: "+cluster+"\n"); users != want {
			t.Errorf("%d users of %s, want %d:\n%s", users, cluster, want, got)
		}
	}
	if shop, orders, _ := strings.Cut(got, "cluster: orders"); strings.Contains(shop, "shop.") || !strings.Contains(orders, "name: shop.") || strings.Contains(orders, "name: freshet.") {
		t.Errorf("rights are in the other cluster:\n%s", got)
	}
}

func TestTopicsACL_whatItRefuses(t *testing.T) {
	for said, args := range map[string][]string{
		"table, json, commands or strimzi":                        {"-o", "yaml"},
		"a role is one of topics, ingest, embed, write, selftest": {"--user", "reader=User:x"},
		"the principal is empty":                                  {"--user", "ingest="},
	} {
		if _, err := topicsACL(t, args...); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%v: got %v", args, err)
		}
	}
}

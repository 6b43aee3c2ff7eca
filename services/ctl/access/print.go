package access

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
)

// Commands prints what makes the rights with Kafka's own tool: a line a grant. users has the principal of each role.
func Commands(out io.Writer, grants []Grant, users map[string]string) error {
	var b strings.Builder
	for _, g := range grants {
		cluster, prefixed := "$BROKERS", ""
		if g.Source {
			cluster = "$SOURCE_BROKERS"
		}
		if g.Prefixed {
			prefixed = " --resource-pattern-type prefixed"
		}
		fmt.Fprintf(&b, "kafka-acls.sh --bootstrap-server %q --add --allow-principal %s --%s %s%s", cluster, quoted(users[g.Role]), g.Kind, quoted(g.Name), prefixed)
		for _, operation := range g.Operations {
			b.WriteString(" --operation " + camel(operation))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// quoted returns a word as a shell reads it whole.
func quoted(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(":._-", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// camel writes DESCRIBE_CONFIGS as DescribeConfigs.
func camel(operation string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(strings.ToLower(operation), "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// Strimzi prints a KafkaUser of Strimzi's operator for each role and cluster that it has rights in. Its names are those of the
// principals without "User:" and "CN="; cluster is the Kafka resource that they belong to, sources that of source topics which are
// apart, authentication its kind of it (tls, scram-sha-512).
func Strimzi(out io.Writer, grants []Grant, users map[string]string, cluster, sources, authentication string) error {
	encoder := yaml.NewEncoder(out, yaml.IndentSequence(false))
	err := strimzi(encoder, grants, users, cluster, authentication, false)
	return errors.Join(err, strimzi(encoder, grants, users, sources, authentication, true))
}

// strimzi prints the users in one of the clusters.
func strimzi(encoder *yaml.Encoder, grants []Grant, users map[string]string, cluster, authentication string, source bool) error {
	for _, role := range Roles() {
		var rules []any
		for _, g := range grants {
			if g.Role == role && g.Source == source {
				rules = append(rules, rule(g))
			}
		}
		if len(rules) == 0 {
			continue
		}
		user := map[string]any{
			"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaUser",
			"metadata": map[string]any{
				"name":   strings.TrimPrefix(strings.TrimPrefix(users[role], "User:"), "CN="),
				"labels": map[string]string{"strimzi.io/cluster": cluster},
			},
			"spec": map[string]any{
				"authentication": map[string]string{"type": authentication},
				"authorization":  map[string]any{"type": "simple", "acls": rules},
			},
		}
		if err := encoder.Encode(user); err != nil {
			return fmt.Errorf("printing the user of %s: %w", role, err)
		}
	}
	return nil
}

func rule(g Grant) map[string]any {
	kinds := map[string]string{topic: "topic", group: "group", transactionID: "transactionalId"}
	pattern := "literal"
	if g.Prefixed {
		pattern = "prefix"
	}
	operations := make([]string, len(g.Operations))
	for i, operation := range g.Operations {
		operations[i] = camel(operation)
	}
	return map[string]any{
		"resource":   map[string]string{"type": kinds[g.Kind], "name": g.Name, "patternType": pattern},
		"operations": operations,
	}
}

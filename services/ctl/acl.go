package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ctl/access"
	"github.com/freshet-io/freshet/services/ctl/selftest"
)

// aclConfig is what the rights depend on. No broker is asked.
type aclConfig struct {
	Topics   kafka.Topics     `inline:"true"`
	Groups   kafka.Groups     `inline:"true"`
	Pipeline pipeline.Setting `required:"true" desc:"path of the pipeline file"`
	Source   struct {
		Kafka struct {
			Brokers []string `desc:"where the source topics are on a cluster of their own"`
		}
	}
}

func aclCommand() *cobra.Command {
	var output, cluster, sources, authentication string
	var users map[string]string
	var canary []string
	cmd := &cobra.Command{
		Use: "acl", Args: cobra.NoArgs,
		Short: "Print the least rights in Kafka that each service needs",
		Long: "Prints what each service, `freshet topics apply` and `freshet selftest` must be allowed in Kafka, and no\n" +
			"more. It asks no broker: it needs the pipeline file and what names topics and groups.",
		Example: "  freshet topics acl\n" +
			"  freshet topics acl -o commands | BROKERS=kafka:9092 sh\n" +
			"  freshet topics acl -o strimzi --cluster shop | kubectl apply -f -",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg aclConfig
			if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
				return err
			}
			principals, err := principals(users)
			if err != nil {
				return err
			}
			if len(canary) == 0 {
				// Where the first pipeline takes none, the selftest has to be told its topic, too.
				if _, topic, err := selftest.Choose(cfg.Pipeline.File, "", ""); err == nil {
					canary = []string{topic}
				}
			}
			grants := access.Installation{File: cfg.Pipeline.File, Topics: cfg.Topics, Groups: cfg.Groups, Apart: len(cfg.Source.Kafka.Brokers) > 0, Canary: canary}.Grants()
			switch out := cmd.OutOrStdout(); output {
			case "table":
				return printGrants(out, grants, principals)
			case "json":
				encoder := json.NewEncoder(out)
				encoder.SetIndent("", "  ")
				return encoder.Encode(grants)
			case "commands":
				return access.Commands(out, grants, principals)
			case "strimzi":
				return access.Strimzi(out, grants, principals, cluster, sources, authentication)
			default:
				return fmt.Errorf("--output %s: table, json, commands or strimzi", output)
			}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json, commands (of Kafka's kafka-acls.sh) or strimzi (KafkaUser resources)")
	cmd.Flags().StringToStringVar(&users, "user", nil, "principal of a role (topics, ingest, embed, write, selftest), as ingest=User:CN=shop-ingest; User:freshet-<role> if left out")
	cmd.Flags().StringSliceVar(&canary, "selftest-topic", nil, "source topics that freshet selftest may write to; the one that it takes by itself if left out")
	cmd.Flags().StringVar(&cluster, "cluster", "kafka", "of strimzi: name of the Kafka resource")
	cmd.Flags().StringVar(&sources, "source-cluster", "source", "of strimzi: name of the Kafka resource with the source topics, where they are apart (FRESHET_SOURCE_KAFKA_BROKERS); its users are of the same names, in another namespace")
	cmd.Flags().StringVar(&authentication, "authentication", "tls", "of strimzi: how the users identify themselves, tls or scram-sha-512")
	return cmd
}

func principals(set map[string]string) (map[string]string, error) {
	users := map[string]string{}
	for _, role := range access.Roles() {
		users[role] = "User:freshet-" + role
	}
	for role, user := range set {
		if !slices.Contains(access.Roles(), role) {
			return nil, fmt.Errorf("--user %s=%s: a role is one of %s", role, user, strings.Join(access.Roles(), ", "))
		}
		if user == "" {
			return nil, fmt.Errorf("--user %s=: the principal is empty", role)
		}
		users[role] = user
	}
	return users, nil
}

func printGrants(out io.Writer, grants []access.Grant, users map[string]string) error {
	t := table{header: []string{"USER", "KIND", "NAME", "OPERATIONS"}, wide: true}
	for _, g := range grants {
		name := g.Name
		if g.Prefixed {
			name += "*"
		}
		if g.Source {
			name += " (source)"
		}
		t.rows = append(t.rows, []string{strings.TrimPrefix(users[g.Role], "User:"), g.Kind, name, strings.Join(g.Operations, ", ")})
	}
	return t.write(out, outputWidth())
}

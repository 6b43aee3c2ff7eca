package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/freshet-io/freshet/services/ctl/dev"
)

func devCommand() *cobra.Command {
	var o dev.Options
	cmd := &cobra.Command{
		Use: "dev", Args: cobra.NoArgs,
		Short: "Run all of Freshet on this machine, with a catalogue that keeps changing",
		Long: "Runs a Kafka broker inside the process, a real Weaviate, the three services and the built-in\n" +
			"embedder (or the one that --provider says); sends a catalogue as Debezium events, then keeps\n" +
			"changing it, and serves the console, at which a product can be changed, too. State is kept in the\n" +
			"data folder, with the log of all three services, freshet.log: a second start goes on where the first\n" +
			"one stopped. The services' variables count, too, such as FRESHET_HTTP_ADDRESS for source.http,\n" +
			"FRESHET_REDIS_URL for source.redis and FRESHET_SCHEMA_REGISTRY_URL for Avro. Events of your own are embedded by\n" +
			"the provider of their pipeline file; a server gets texts only where you have named it.",
		Example: `  freshet dev
  freshet dev --once
  freshet dev --events changes.ndjson --pipeline pipeline.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, flag := range []string{"model", "dimensions"} {
				if o.Pipeline != "" && cmd.Flags().Changed(flag) {
					return fmt.Errorf("--%s: the space of %s says it: leave --%s out, or change it there", flag, o.Pipeline, flag)
				}
			}
			o.Out = cmd.OutOrStdout()
			o.TTY = term.IsTerminal(int(os.Stdout.Fd()))
			return dev.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Once, "once", false, "show everything once, check it, print a summary and end; in a temporary folder unless --data names one")
	f.StringVar(&o.Data, "data", "", "folder of all state; default: one in Freshet's cache for the catalogue and for each --pipeline")
	f.StringVar(&o.Brokers, "brokers", "", "a Kafka of your own, host:port; passwords and TLS by FRESHET_KAFKA_ variables")
	f.StringVar(&o.Weaviate, "weaviate", "", "URL of a Weaviate of your own; its key by FRESHET_WEAVIATE_API_KEY")
	f.StringVar(&o.WeaviateGRPC, "weaviate-grpc", "", "its gRPC port, host:port")
	f.StringVar(&o.Provider, "provider", "", "builtin (the default without --pipeline), hash, the base URL of an OpenAI-compatible server, or openai for that of\nFRESHET_OPENAI_URL (api.openai.com if unset); key by FRESHET_OPENAI_KEY. With --pipeline it must be that of the file's space")
	f.StringVar(&o.Model, "model", "text-embedding-3-large", "model of that server, with a URL or openai as --provider")
	f.IntVar(&o.Dimensions, "dimensions", 3072, "length of the vectors; the built-in model has 512 whatever is said here")
	f.StringVar(&o.Events, "events", "", "file of change events, one a line, to send instead of the catalogue; all of them anew at each start")
	f.StringVar(&o.Pipeline, "pipeline", "", "pipeline file that maps those events")
	f.Uint16Var(&o.ConsolePort, "console-port", 0, "port of the console at 127.0.0.1; a free one if 0")
	f.Float64Var(&o.Rate, "rate", 5, "changes a second after the catalogue is in")
	return cmd
}

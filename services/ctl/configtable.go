package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/embed/embedder"
	"github.com/freshet-io/freshet/services/ingest/ingester"
	"github.com/freshet-io/freshet/services/write/writer"
)

// configTableCommand prints the settings that the services do not have, for docs/configuration.md.
func configTableCommand() *cobra.Command {
	return &cobra.Command{
		Use: "config-table", Args: cobra.NoArgs, Hidden: true,
		Short: "Print the settings that are of this program alone, as a table of Markdown",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), service.Markdown(ownSettings()))
			return err
		},
	}
}

// ownSettings returns the settings of the commands that no service has.
func ownSettings() []service.Setting {
	known := map[string]bool{}
	for _, cfg := range []any{new(service.Config), new(ingester.Settings), new(embedder.Settings), new(writer.Settings)} {
		for _, s := range service.Settings(cfg) {
			known[s.Name] = true
		}
	}
	var own []service.Setting
	for _, cfg := range []any{new(layoutConfig), new(aclConfig), new(epochConfig), new(searchConfig), new(consoleConfig), new(planConfig), new(benchProviderConfig), new(serveEmbedderConfig)} {
		for _, s := range service.Settings(cfg) {
			if !known[s.Name] {
				known[s.Name] = true
				own = append(own, s)
			}
		}
	}
	return own
}

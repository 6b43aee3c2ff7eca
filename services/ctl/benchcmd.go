package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/services/ctl/bench"
)

func benchCommand() *cobra.Command {
	var o bench.Options
	var output string
	cmd := &cobra.Command{
		Use: "bench [" + strings.Join(bench.Names(), "|") + "]", Args: cobra.OnlyValidArgs, ValidArgs: bench.Names(),
		Short: "Measure against floors of the same run",
		Long: "Runs the services inside this process, against servers that it starts from the cache and\n" +
			"stops, and prints what they reach of what the broker, the index or the provider gives.\n" +
			"It takes half a minute to four minutes a benchmark; other work on the machine shows\n" +
			"in the figures. For one core, set GOMAXPROCS=1.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			o.Names, o.JSON, o.Out, o.Progress = args, output == "json", cmd.OutOrStdout(), cmd.ErrOrStderr()
			return bench.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().DurationVar(&o.Soak, "soak", 0, "how long stage watches its memory while its handler is slow (default 30s)")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, or json: a line a benchmark")
	return cmd
}

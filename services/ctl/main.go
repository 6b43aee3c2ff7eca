// Command freshet is the operator's tool: it lays out the topics, tries the whole
// pipeline on one machine, searches the index and reads the dead letters.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		if code, ok := errors.AsType[exitCode](err); ok {
			return int(code)
		}
		if !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, "freshet:", fault.Plainly(err))
		}
		return service.ExitFailure
	}
	return service.ExitOK
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "freshet",
		Short: "Keeps a vector index fresh: lay out, try, search, look into it",
		Long: "Freshet keeps a vector index fresh. `freshet dev` runs all of it on this machine; the other\n" +
			"commands take their settings from the same FRESHET_ variables as the services, and where\n" +
			"none says where Kafka or Weaviate is, from a running `freshet dev`.",
		SilenceUsage: true, SilenceErrors: true, Version: service.Version,
	}
	root.AddCommand(topicsCommand(), epochCommand(), searchCommand(), whyCommand(), statusCommand(), dlqCommand(), costCommand(), planCommand(), consoleCommand(), selftestCommand(), devCommand(), serveEmbedderCommand(),
		benchProviderCommand(), versionCommand(), configTableCommand())
	refusePlainly(root)
	return root
}

// exitCode ends a command that has said all, with a code of its own.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprint("exit code ", int(c)) }

// help is what a command does that only has commands below it. With it, a mistyped one
// is an error and no help with exit code 0.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "freshet", service.Version) },
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/embed/builtin"
)

type serveEmbedderConfig struct {
	EmbedderKey service.Secret `desc:"key that clients of freshet serve-embedder must send; none is asked for where it is not set"`
}

func serveEmbedderCommand() *cobra.Command {
	var address, key string
	cmd := &cobra.Command{
		Use: "serve-embedder", Args: cobra.NoArgs,
		Short: "Serve the built-in model as OpenAI serves its own",
		Long: "Answers POST /v1/embeddings (floats and base64, up to 2,048 texts), GET /v1/models and\n" +
			"/healthz, so that any OpenAI client embeds without a network. It is for trying out and for\n" +
			"tests: docs/builtin.md says how well it finds. A key may also come from FRESHET_EMBEDDER_KEY\n" +
			"or the file FRESHET_EMBEDDER_KEY_FILE; others on the machine can read a command's flags.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg serveEmbedderConfig
			if err := service.Load(os.Environ(), &cfg); err != nil {
				return err
			}
			if key != "" {
				cfg.EmbedderKey = service.NewSecret(key)
			}
			return serveEmbedder(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), address, cfg.EmbedderKey)
		},
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8090", "host:port to serve at; port 0 takes a free one")
	cmd.Flags().StringVar(&key, "key", "", "key that clients must send; empty asks for none")
	return cmd
}

func serveEmbedder(ctx context.Context, out, stderr io.Writer, address string, key service.Secret) error {
	model, err := builtin.New()
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serving the built-in model: %w (--listen names another address)", err)
	}
	if at, ok := l.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() && !key.Set() {
		fmt.Fprintf(stderr, "warning: %s can be reached from other machines, and no key is asked for\n", at)
	}
	fmt.Fprintf(out, "the model %s, %d dimensions, is at http://%s/v1/embeddings\nCtrl-C stops it\n", builtin.Name, builtin.Dimensions, l.Addr())
	return builtin.Serve(ctx, l, builtin.WithKey(builtin.Handler(model), key.Value))
}

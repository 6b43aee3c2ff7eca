package dev

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// trigger is an output that acts, once, when it is told a text.
type trigger struct {
	on  string
	act func()

	said strings.Builder
}

func (t *trigger) Write(p []byte) (int, error) {
	if t.said.Write(p); strings.Contains(string(p), t.on) {
		t.act()
	}
	return len(p), nil
}

func TestRun_interruptedWhileItLoadsSaysSo(t *testing.T) {
	server := localtest.Weaviate(t, local.WeaviateOptions{})
	t.Setenv("FRESHET_WEAVIATE_API_KEY", server.APIKey)
	data := t.TempDir()
	for _, tt := range []struct {
		once      bool
		said, err string
	}{
		{false, "interrupted; the next start goes on from here\nstopping", ""},
		{true, "stopping", "interrupted before everything was checked"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		out := &trigger{on: "sending 1330 products", act: stop}
		err := Run(ctx, Options{
			Data: data, Once: tt.once, Weaviate: "http://" + server.REST, WeaviateGRPC: server.GRPC,
			Provider: "hash", Dimensions: 8, Rate: 1, Out: out,
		})
		if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("once %v: the error is %v, want %q", tt.once, err, tt.err)
		}
		if said := out.said.String(); !strings.Contains(said, tt.said) {
			t.Errorf("once %v: it says %s", tt.once, said)
		}
	}
}

func TestOptions_toldKeepsWhatNoSignalHasCaused(t *testing.T) {
	broken := errors.New("broken")
	ended, stop := context.WithCancel(t.Context())
	stop()
	for name, err := range map[string]error{
		"a fault beside a signal":          Options{}.told(ended, broken),
		"a fault":                          Options{}.told(t.Context(), broken),
		"a cancelled call, and no signal":  Options{}.told(t.Context(), context.Canceled),
		"a fault beside a signal, in once": Options{Once: true}.told(ended, broken),
	} {
		if !errors.Is(err, broken) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s becomes %v", name, err)
		}
	}
}

package dev

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

func TestRun_whatStopsAServiceIsToldOnce(t *testing.T) {
	server := localtest.Weaviate(t, local.WeaviateOptions{})
	t.Setenv("FRESHET_WEAVIATE_API_KEY", server.APIKey)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(provider.Close)
	var said strings.Builder
	err := Run(t.Context(), Options{
		Data: t.TempDir(), Weaviate: "http://" + server.REST, WeaviateGRPC: server.GRPC,
		Provider: provider.URL, Model: "m", Dimensions: 8, Rate: 1, Out: &said,
	})
	if err == nil || strings.Count(err.Error(), "401") != 1 || strings.Contains(err.Error(), "\n") {
		t.Errorf("it ends with %v", err)
	}
}

func TestRun_settingsThatDoNotGoWithTheFileAreRefusedBeforeAnythingIsMade(t *testing.T) {
	const stream = `apiVersion: freshet/v1
space: {provider: hash, model: hash, dimensions: 8}
pipelines:
- name: notices
  source: {topics: [shop.notices], format: rows, order: seq, redis: {stream: notices}}
  collection: Notice
  id: {from: [id]}
  text: {template: "{{text}}"}
`
	for name, tt := range map[string]struct{ file, address, want string }{
		"no pipeline takes changes over HTTP": {"", "127.0.0.1:0", "says source: {http: true}"},
		"nobody says where Redis is":          {stream, "", "FRESHET_REDIS_URL is not set"},
		"a setting of a service":              {"", "127.0.0.1", "ADDRESS is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FRESHET_HTTP_ADDRESS", tt.address)
			t.Setenv("FRESHET_HTTP_ALLOW_ANONYMOUS", "true")
			o := Options{Data: t.TempDir(), Rate: 1}
			if tt.file != "" {
				o.Pipeline, o.Events = filepath.Join(t.TempDir(), "pipeline.yaml"), "-"
				if err := os.WriteFile(o.Pipeline, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var said strings.Builder
			o.Out = &said
			err := Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(said.String(), "starting Weaviate") {
				t.Errorf("the error is %v, want %q; it says %s", err, tt.want, said.String())
			}
		})
	}
}

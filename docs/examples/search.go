// Search the index from Go. In a module with this file:
//
//	go get github.com/weaviate/weaviate-go-client/v4@v4.16.1 github.com/weaviate/weaviate@v1.27.0 && go mod tidy
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/weaviate/weaviate-go-client/v4/weaviate"
	"github.com/weaviate/weaviate-go-client/v4/weaviate/auth"
	"github.com/weaviate/weaviate-go-client/v4/weaviate/filters"
	"github.com/weaviate/weaviate-go-client/v4/weaviate/graphql"
)

func main() {
	if err := search(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func search(ctx context.Context, text string) error {
	server, err := url.Parse(os.Getenv("FRESHET_WEAVIATE_URL"))
	if err != nil {
		return err
	}
	key := os.Getenv("FRESHET_WEAVIATE_API_KEY")
	client, err := weaviate.NewClient(weaviate.Config{Scheme: server.Scheme, Host: server.Host, AuthConfig: auth.ApiKey{Value: key}})
	if err != nil {
		return err
	}
	// Model and server of the pipeline file's space: vectors of another one are not near anything.
	var embedded struct {
		Data []struct{ Embedding []float32 }
	}
	err = call(ctx, http.MethodPost, os.Getenv("FRESHET_OPENAI_URL")+"/embeddings", os.Getenv("FRESHET_OPENAI_KEY"),
		map[string]any{"model": os.Getenv("MODEL"), "input": []string{text}}, &embedded)
	if err != nil {
		return err
	}
	// Filters do not know aliases in GraphQL, so the collection behind it is asked for. A rebuild moves the alias:
	// keep the answer for seconds, and never write Product_g1.
	var alias struct{ Class string }
	if err := call(ctx, http.MethodGet, server.JoinPath("v1/aliases/Product").String(), key, nil, &alias); err != nil {
		return err
	}
	answer, err := client.GraphQL().Get().WithClassName(alias.Class).
		WithFields(graphql.Field{Name: "name price _additional { distance }"}).
		WithNearVector(client.GraphQL().NearVectorArgBuilder().WithVector(embedded.Data[0].Embedding)).
		WithWhere(filters.Where().WithPath([]string{"price"}).WithOperator(filters.LessThan).WithValueNumber(100)).
		WithLimit(3).Do(ctx)
	if err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("searching: %s", answer.Errors[0].Message)
	}
	return json.NewEncoder(os.Stdout).Encode(answer.Data["Get"])
}

// call sends JSON and reads the JSON of the answer.
func call(ctx context.Context, method, url, key string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

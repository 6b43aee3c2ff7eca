package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/weaviate"
	"github.com/freshet-io/freshet/services/ctl/finder"
	"github.com/freshet-io/freshet/services/embed/providers"
)

type searchConfig struct {
	Weaviate weaviate.Config
	OpenAI   providers.OpenAI `envconfig:"OPENAI"`
	Pipeline pipeline.Setting `required:"true" desc:"path of the pipeline file: it names the space and the collections"`
}

type searchFlags struct {
	collection, like, tenant, output string
	where                            []string
	limit                            int
}

func searchCommand() *cobra.Command {
	var flags searchFlags
	cmd := &cobra.Command{
		Use: "search [text]", Args: cobra.ArbitraryArgs,
		Short: "Find items by meaning, or those like an item",
		Long: "Embeds the text in the pipeline file's space and prints the items nearest to it: distance 0\n" +
			"is the same direction, 1 unrelated. The table is cut to the terminal; -o json has everything.",
		Example: `  freshet search "headset that blocks out noise"
  freshet search "tent" --where 'price<100' --where 'stock>0' -o json
  freshet search --like 1001`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(args); err != nil {
				return err
			}
			hits, err := search(cmd, strings.Join(args, ""), flags)
			if err != nil {
				return err
			}
			return printHits(cmd.OutOrStdout(), hits, flags.output)
		},
	}
	cmd.Flags().StringVar(&flags.collection, "collection", "", "collection to search; the pipeline file's first one if empty")
	cmd.Flags().StringVar(&flags.like, "like", "", "id of an item: find its neighbours; parts of a composite id are joined by +")
	cmd.Flags().StringVar(&flags.tenant, "tenant", "", "tenant of the --like item, and to search in where the collection is divided by tenants (multiTenancy)")
	cmd.Flags().StringArrayVar(&flags.where, "where", nil, "condition on a property, as price<100; several must all hold")
	cmd.Flags().IntVar(&flags.limit, "limit", 5, "at most so many")
	cmd.Flags().StringVarP(&flags.output, "output", "o", "table", "table or json")
	return cmd
}

func (f searchFlags) check(args []string) error {
	switch {
	case len(args) > 1:
		return errors.New("put the text in quotes: it is one argument")
	case (len(args) == 1) == (f.like != ""):
		return errors.New("give a text, or --like with an id")
	case len(args) == 1 && strings.TrimSpace(args[0]) == "":
		return errors.New("the text is empty")
	case f.limit < 1:
		return errors.New("--limit must be at least 1")
	}
	return checkOutput(f.output)
}

// checkTenant refuses a tenant that would choose nothing: neither a part of the collection nor an item.
func (f searchFlags) checkTenant(file *pipeline.File) error {
	if f.tenant == "" || f.like != "" {
		return nil
	}
	name := cmp.Or(f.collection, file.Pipelines[0].Collection)
	for _, c := range file.Collections() {
		if c.Name == name && !c.MultiTenancy {
			return fmt.Errorf("--tenant %s: collection %s is not divided by tenants (multiTenancy), so that all of it would be searched; leave --tenant out", f.tenant, name)
		}
	}
	return nil
}

func search(cmd *cobra.Command, text string, flags searchFlags) ([]weaviate.Hit, error) {
	q := finder.Query{Text: text, Collection: flags.collection, Tenant: flags.tenant, Limit: flags.limit}
	for _, w := range flags.where {
		filter, err := finder.Condition(w)
		if err != nil {
			return nil, fmt.Errorf("--where: %w", err)
		}
		q.Where = append(q.Where, filter)
	}
	var cfg searchConfig
	if err := load(&cfg, cmd.ErrOrStderr()); err != nil {
		return nil, err
	}
	f, err := cfg.open(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Index.Close() }()
	if err := flags.checkTenant(f.File); err != nil {
		return nil, err
	}
	if flags.like == "" {
		return f.Find(cmd.Context(), q)
	}
	item := record.Item{Collection: cmp.Or(flags.collection, f.File.Pipelines[0].Collection), Tenant: flags.tenant, ID: strings.Split(flags.like, "+")}
	vector, err := f.Index.FetchVector(cmd.Context(), item)
	if err != nil {
		return nil, err
	}
	return f.Near(cmd.Context(), vector, q)
}

// open connects to the index and the provider. The caller closes the index.
func (c searchConfig) open(ctx context.Context) (*finder.Finder, error) {
	provider, err := providers.Open(c.Pipeline.File.Space, c.OpenAI, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	index, err := weaviate.Open(ctx, c.Weaviate)
	if err != nil {
		return nil, err
	}
	return &finder.Finder{Index: index, Provider: provider, File: c.Pipeline.File}, nil
}

func printHits(out io.Writer, hits []weaviate.Hit, output string) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(jsonHits(hits))
	}
	if len(hits) == 0 {
		_, err := fmt.Fprintln(out, "nothing is found")
		return err
	}
	return hitTable(hits).write(out, outputWidth())
}

// hitTable has a column a property, in the order of the pipeline file.
func hitTable(hits []weaviate.Hit) table {
	var names []string
	for _, h := range hits {
		for _, p := range h.Properties {
			if !slices.Contains(names, p.GetName()) {
				names = append(names, p.GetName())
			}
		}
	}
	t := table{header: []string{"DISTANCE", "ID"}}
	for _, name := range names {
		t.header = append(t.header, strings.ToUpper(name))
	}
	for _, h := range hits {
		row := make([]string, len(t.header))
		row[0], row[1] = fmt.Sprintf("%.3f", h.Distance), strings.Join(h.Item.ID, "+")
		for _, p := range h.Properties {
			row[2+slices.Index(names, p.GetName())] = p.GetValue().Display()
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// jsonHit is a hit as scripts read it.
type jsonHit struct {
	ID         string         `json:"id"`
	Tenant     string         `json:"tenant,omitempty"`
	UUID       string         `json:"uuid"`
	Distance   float64        `json:"distance"`
	Properties map[string]any `json:"properties"`
}

func jsonHits(hits []weaviate.Hit) []jsonHit {
	all := []jsonHit{}
	for _, h := range hits {
		properties := map[string]any{}
		for _, p := range h.Properties {
			properties[p.GetName()] = p.GetValue().Any()
		}
		all = append(all, jsonHit{strings.Join(h.Item.ID, "+"), h.Item.Tenant, h.UUID.String(), h.Distance, properties})
	}
	return all
}

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// settings are those of a connector or a worker, by their names in its documentation.
type settings map[string]string

// connectWorker is a worker of Kafka Connect with Debezium's connectors for PostgreSQL and MariaDB. It writes JSON
// without schemas where a connector does not say otherwise, and goes on where it last noted its place when it starts again.
type connectWorker struct {
	*local.Server

	connectors []settings // name is one of them
}

// startConnect starts a worker that ends with the test, before the brokers; all connectors and their tasks run then.
func startConnect(t *testing.T, brokers string, connectors []settings) *connectWorker {
	t.Helper()
	c := &connectWorker{connectors: connectors}
	d, missing := c.describe(brokers)
	d.Log = t.Output() // it says there why it refuses a connector, and much more at its end
	c.Server = localtest.Server(t, missing, d)
	return c
}

// describe also says what is not installed.
func (c *connectWorker) describe(brokers string) (d local.Description, missing error) {
	home, err := local.DebeziumPackage.Path()
	jvm, errJava := local.NewJVM("connect", home)
	jvm.Heap = "768m"
	return local.Description{
		Name: "connect", Ports: 1,
		Command: func(ctx context.Context, s *local.Server) (*exec.Cmd, error) {
			jvm.Data = s.Data
			files, err := c.write(jvm, settings{
				"bootstrap.servers": brokers, "listeners": "http://" + s.Address(0), "plugin.path": filepath.Join(home, "plugins"),
				"plugin.discovery": "service_load", // the other ways to look for plugins take 7 s
				"key.converter":    "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "false",
				"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
				"offset.storage.file.filename": filepath.Join(s.Data, "offsets"), "offset.flush.interval.ms": "1000",
			})
			return jvm.Command(context.WithoutCancel(ctx), "org.apache.kafka.connect.cli.ConnectStandalone", files...), err
		},
		Ready: func(ctx context.Context, s *local.Server) error { c.Server = s; return c.check(ctx) },
	}, errors.Join(err, errJava)
}

// write writes the properties of the worker and of its connectors, and returns their files in this order.
func (c *connectWorker) write(jvm local.JVM, worker settings) (files []string, err error) {
	errs := []error{os.MkdirAll(jvm.Tmp(), 0o700)}
	for _, of := range append([]settings{worker}, c.connectors...) {
		var text strings.Builder
		for _, name := range slices.Sorted(maps.Keys(of)) {
			fmt.Fprintf(&text, "%s=%s\n", name, of[name])
		}
		file := filepath.Join(jvm.Data, of["name"]+".properties")
		errs, files = append(errs, os.WriteFile(file, []byte(text.String()), 0o600)), append(files, file)
	}
	return files, errors.Join(errs...)
}

// check says whether all connectors and their tasks run, and why not.
func (c *connectWorker) check(ctx context.Context) error {
	type state struct{ State, Trace string } // a failed one says why
	for _, connector := range c.connectors {
		var status struct {
			Connector state
			Tasks     []state
		}
		if err := c.ask(ctx, connector, "status", &status); err != nil {
			return err
		}
		if len(status.Tasks) == 0 {
			return fmt.Errorf("connector %s has no task yet", connector["name"])
		}
		for _, s := range append(status.Tasks, status.Connector) {
			if s.State != "RUNNING" {
				return fmt.Errorf("connector %s is %s: %.2000s", connector["name"], s.State, s.Trace)
			}
		}
	}
	return nil
}

// streams says whether all connectors have noted a place behind their snapshots, which a restart goes on from. One that
// is killed before takes another snapshot, and nobody ever tells what was deleted between the two.
func (c *connectWorker) streams(ctx context.Context) error {
	for _, connector := range c.connectors {
		var noted struct {
			Offsets []struct{ Offset map[string]any }
		}
		if err := c.ask(ctx, connector, "offsets", &noted); err != nil {
			return err
		}
		if len(noted.Offsets) == 0 || noted.Offsets[0].Offset["snapshot"] != nil {
			return fmt.Errorf("connector %s has noted no place behind its snapshot yet", connector["name"])
		}
	}
	return nil
}

func (c *connectWorker) ask(ctx context.Context, connector settings, what string, out any) error {
	return local.Ask(ctx, "connect", "http://"+c.Address(0)+"/connectors/"+connector["name"]+"/"+what, "", out)
}

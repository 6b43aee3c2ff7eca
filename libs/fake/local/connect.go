package local

import (
	"context"
	_ "embed" // the worker's properties
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// Connector is a connector's settings, by their names in its documentation; name is one of them.
type Connector map[string]string

// Connect is a running Kafka Connect worker with Debezium's connectors for PostgreSQL and MariaDB. It writes JSON
// without schemas where a connector does not say otherwise. All methods are safe for concurrent use.
type Connect struct {
	Address string // host:port of its HTTP API, loopback only

	brokers    string
	connectors []Connector
	jvm
	*server
}

// StartConnect starts a worker from the cache and returns when all connectors and their tasks run. log gets its warnings
// and errors; nil: nowhere. The caller stops it, before the brokers. ctx bounds the start only. A worker that starts
// again goes on where it last noted its place.
func StartConnect(ctx context.Context, brokers string, connectors []Connector, log io.Writer) (*Connect, error) {
	home, err := DebeziumHome()
	if err != nil {
		return nil, err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("starting connect: %w", err)
	}
	s, err := newServer("connect", "")
	if err != nil {
		return nil, err
	}
	c := &Connect{
		brokers: brokers, connectors: connectors, server: s,
		jvm: jvm{java: java, home: home, data: s.data, heap: "768m"},
	}
	s.launch = func(ctx context.Context) (*child, error) { return c.start(ctx, log) }
	if err := s.startFirst(ctx, 1, func(ports []int) { c.Address = loopback(ports[0]) }); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Connect) start(ctx context.Context, log io.Writer) (*child, error) {
	files, err := c.write()
	if err != nil {
		return nil, fmt.Errorf("writing connect's properties: %w", err)
	}
	// ctx is the start's: its end must not kill the worker.
	cmd := c.command(context.WithoutCancel(ctx), "org.apache.kafka.connect.cli.ConnectStandalone", files...)
	worker, err := startChild("connect", cmd, nil, log)
	if err != nil {
		return nil, err
	}
	err = worker.awaitReady(ctx, c.Check)
	if _, why, found := strings.Cut(worker.tail.String(), refusal); err != nil && found {
		err = fmt.Errorf("%w: %s%.300s", err, refusal, why)
	}
	return worker, err
}

// refusal begins what a worker says before it ends where it does not take a connector's settings. What it says last is
// of no use.
const refusal = "Connector configuration is invalid"

//go:embed connect.properties
var connectProperties string

var connectTemplate = template.Must(template.New("connect.properties").Parse(connectProperties))

// write writes the properties of the worker and of its connectors, and returns their files in this order.
func (c *Connect) write() ([]string, error) {
	if err := os.MkdirAll(c.tmp(), 0o700); err != nil {
		return nil, err
	}
	var text strings.Builder
	err := connectTemplate.Execute(&text, map[string]string{
		"Brokers": c.brokers, "Address": c.Address,
		"Plugins": filepath.Join(c.home, "plugins"), "Offsets": filepath.Join(c.jvm.data, "offsets"),
	})
	if err != nil {
		return nil, err
	}
	files, texts := []string{c.properties()}, []string{text.String()}
	for _, connector := range c.connectors {
		var lines strings.Builder
		for name, value := range connector {
			fmt.Fprintf(&lines, "%s=%s\n", name, value)
		}
		files, texts = append(files, filepath.Join(c.jvm.data, connector["name"]+".properties")), append(texts, lines.String())
	}
	for i, file := range files {
		if err := os.WriteFile(file, []byte(texts[i]), 0o600); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Check says whether all connectors and their tasks run, and why not.
func (c *Connect) Check(ctx context.Context) error { return c.each(ctx, c.runs) }

// Streams says whether all connectors have noted a place behind their snapshots, which a restart goes on from. One that
// is killed before takes another snapshot, and nobody ever tells what was deleted between the two.
func (c *Connect) Streams(ctx context.Context) error { return c.each(ctx, c.streams) }

func (c *Connect) each(ctx context.Context, ask func(ctx context.Context, connector string) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, connector := range c.connectors {
		if err := ask(ctx, connector["name"]); err != nil {
			return err
		}
	}
	return nil
}

// state is how a connector or a task of it does; a failed one says why.
type state struct{ State, Trace string }

func (c *Connect) runs(ctx context.Context, connector string) error {
	var status struct {
		Connector state
		Tasks     []state
	}
	if err := c.get(ctx, connector, "status", &status); err != nil {
		return err
	}
	if len(status.Tasks) == 0 {
		return errors.New("asking connect: connector " + connector + " has no task yet")
	}
	for _, s := range append(status.Tasks, status.Connector) {
		if s.State != "RUNNING" {
			return fmt.Errorf("asking connect: connector %s is %s: %.2000s", connector, s.State, s.Trace)
		}
	}
	return nil
}

func (c *Connect) streams(ctx context.Context, connector string) error {
	var noted struct {
		Offsets []struct{ Offset map[string]any }
	}
	if err := c.get(ctx, connector, "offsets", &noted); err != nil {
		return err
	}
	if len(noted.Offsets) == 0 || noted.Offsets[0].Offset["snapshot"] != nil {
		return errors.New("asking connect: connector " + connector + " has noted no place behind its snapshot yet")
	}
	return nil
}

// get reads what the worker answers about a connector.
func (c *Connect) get(ctx context.Context, connector, what string, out any) error {
	url := "http://" + c.Address + "/connectors/" + connector + "/" + what
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking connect: %w", err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return fmt.Errorf("asking connect: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("asking connect: %w", err)
	}
	return nil
}

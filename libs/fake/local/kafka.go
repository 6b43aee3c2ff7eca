package local

import (
	"context"
	_ "embed" // the broker's properties
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaOptions says how to start Apache Kafka. The zero value is good for a test.
type KafkaOptions struct {
	Data string    // folder of the data, made if missing; empty: a temporary one that Stop removes
	Log  io.Writer // gets the broker's warnings and errors; nil: nowhere (errors carry the last line)
	// OAuth adds a listener that wants SASL OAUTHBEARER, see Kafka.OAuth.
	OAuth bool
}

// Kafka is a running broker, one node, without authentication, on loopback only. It creates no topic by itself. All
// methods are safe for concurrent use.
type Kafka struct {
	Brokers string // host:port, what a client takes as its seed broker
	// OAuth is the seed broker for clients that identify themselves by OAUTHBEARER, empty where none was asked for. It
	// takes unsecured JSON web tokens (RFC 7515, alg none) that have sub, iat and exp, and of those any.
	OAuth string

	*server
}

// StartKafka starts a broker from the cache and returns when a client can create topics on it. The caller stops it. ctx
// bounds the start only; the broker lives on when it ends.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	libs, err := KafkaLibs()
	if err != nil {
		return nil, err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("starting kafka: %w", err)
	}
	s, err := newServer("kafka", o.Data)
	if err != nil {
		return nil, err
	}
	j := jvm{java: java, home: filepath.Dir(libs), data: s.data}
	k := &Kafka{server: s}
	var controller string
	s.launch = func(ctx context.Context) (*child, error) {
		if err := j.prepare(ctx, listeners{Broker: k.Brokers, Controller: controller, OAuth: k.OAuth}); err != nil {
			return nil, err
		}
		// ctx is the start's: its end must not kill the broker.
		c, err := startChild("kafka", j.command(context.WithoutCancel(ctx), "kafka.Kafka", j.properties()), nil, o.Log)
		if err != nil {
			return nil, err
		}
		return c, c.awaitReady(ctx, k.ready)
	}
	err = s.startFirst(ctx, 3, func(ports []int) {
		k.Brokers, controller = loopback(ports[0]), loopback(ports[1])
		if o.OAuth {
			k.OAuth = loopback(ports[2])
		}
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// ready asks once for the cluster's metadata. A broker that answers is still refused by the controller for a while after
// a kill; it is listed, with a controller, only when it takes part.
func (k *Kafka) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers), kgo.RequestRetries(0))
	if err != nil {
		return fmt.Errorf("asking kafka: %w", err)
	}
	defer client.Close()
	meta, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("asking kafka: %w", err)
	}
	if len(meta.Brokers) == 0 || meta.Controller < 0 {
		return errors.New("asking kafka: the broker has not joined yet")
	}
	return nil
}

// jvm is how Kafka's classes are run.
type jvm struct {
	java string // the program
	home string // the folder above the jars
	data string
}

//go:embed kafka.properties
var kafkaProperties string

var kafkaTemplate = template.Must(template.New("kafka.properties").Parse(kafkaProperties))

// clusterID is any 16 bytes in base64url. A random one could begin with a dash, which the tool takes for an option.
const clusterID = "MkU3OEVBNTcwNTJENDM2Qg"

func (j jvm) properties() string { return filepath.Join(j.data, "server.properties") }
func (j jvm) logDir() string     { return filepath.Join(j.data, "log") }
func (j jvm) tmp() string        { return filepath.Join(j.data, "tmp") }

// command returns the command that runs a main class. A small heap, the serial collector and only the first compiler
// start a broker in 2 s with 150 MB, and the archive of classes that its installation made halves that; an archive that
// does not fit the JVM any more is ignored by it. The archive holds the class path as it was written, so the jars are
// named relative to their folder. Performance files and unpacked native libraries would stay behind in the system's
// temporary folder: the first are off, the second go into the data folder.
func (j jvm) command(ctx context.Context, class string, rest ...string) *exec.Cmd {
	args := []string{
		"-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Djava.io.tmpdir=" + j.tmp(),
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
	}
	archive := filepath.Join(j.home, "kafka.jsa")
	if _, err := os.Stat(archive); err == nil {
		args = append(args, "-XX:SharedArchiveFile="+archive)
	}
	args = append(args, "-cp", filepath.Join(kafkaLibs, "*"), class)
	cmd := exec.CommandContext(ctx, j.java, append(args, rest...)...)
	cmd.Dir = j.home
	cmd.Env = []string{} // not this process's
	return cmd
}

// listeners are the addresses of a broker; OAuth may be empty.
type listeners struct{ Broker, Controller, OAuth string }

// prepare writes the properties and, in a new data folder, formats it.
func (j jvm) prepare(ctx context.Context, l listeners) error {
	if err := os.MkdirAll(j.tmp(), 0o700); err != nil {
		return fmt.Errorf("making a folder for kafka: %w", err)
	}
	var text strings.Builder
	settings := struct {
		listeners
		LogDir string
	}{l, j.logDir()}
	if err := kafkaTemplate.Execute(&text, settings); err != nil {
		return fmt.Errorf("writing kafka's properties: %w", err)
	}
	if err := os.WriteFile(j.properties(), []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("writing kafka's properties: %w", err)
	}
	if _, err := os.Stat(filepath.Join(j.logDir(), "meta.properties")); err == nil {
		return nil
	}
	format := j.command(ctx, "kafka.tools.StorageTool", "format", "--standalone", "-t", clusterID, "-c", j.properties())
	if out, err := format.CombinedOutput(); err != nil {
		return fmt.Errorf("formatting kafka's folder: %w: %s", err, out)
	}
	return nil
}

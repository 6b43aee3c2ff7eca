package local

import (
	"cmp"
	"context"
	_ "embed" // the broker's properties
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaOptions says how to start Apache Kafka. The zero value is good for a test.
type KafkaOptions struct {
	Data string    // folder of the data, made if missing; empty: a temporary one that Stop removes
	Log  io.Writer // gets the broker's warnings and errors; nil: nowhere (errors carry the last line)
	// OAuth adds a listener that wants SASL OAUTHBEARER, see Kafka.OAuth.
	OAuth bool
	// Authorize has it refuse its clients what no access control list allows, but for those without a name, and log each
	// decision with the list's entry.
	Authorize bool
	// Advertise, if set, returns the address under which clients are told to reach the broker that listens at the given one: a
	// proxy's. It is called again, for a new address, where a port was taken.
	Advertise func(listens string) (advertised string, err error)
}

// Kafka is a running broker, one node, without authentication, on loopback only. It creates no topic by itself. All
// methods are safe for concurrent use.
type Kafka struct {
	Brokers string // host:port, what a client takes as its seed broker
	// OAuth is the seed broker for clients that identify themselves by OAUTHBEARER, empty where none was asked for. It
	// takes unsecured JSON web tokens (RFC 7515, alg none) that have sub, iat and exp, and of those any.
	OAuth string

	*Server
}

// StartKafka starts a broker from the cache and returns when a client can create topics on it. The caller stops it. ctx
// bounds the start only; the broker lives on when it ends.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	n := &node{ID: 1, Replicas: 1, InSync: 1, Authorize: o.Authorize}
	var err error
	if n.JVM, err = kafkaJVM(); err != nil {
		return nil, err
	}
	if o.Authorize {
		n.Debug = "kafka.authorizer.logger"
	}
	s, err := Start(ctx, Description{
		Name: "kafka", Data: o.Data, Ports: 3, Log: o.Log,
		Command: func(ctx context.Context, s *Server) (*exec.Cmd, error) {
			n.Listens, n.Advertised, n.Controller, n.Quorum = s.Address(0), s.Address(0), s.Address(1), s.Address(1)
			if o.OAuth {
				n.OAuth = s.Address(2)
			}
			if o.Advertise != nil {
				var err error
				if n.Advertised, err = o.Advertise(n.Listens); err != nil {
					return nil, err
				}
			}
			return n.launch(ctx, s, "--standalone")
		},
		Ready: n.ready,
	})
	if err != nil {
		return nil, err
	}
	return &Kafka{Brokers: n.Listens, OAuth: n.OAuth, Server: s}, nil
}

// kafkaJVM returns how Kafka's classes are run, but for their data.
func kafkaJVM() (JVM, error) {
	libs, err := KafkaPackage.Path(kafkaLibs)
	if err != nil {
		return JVM{}, err
	}
	return NewJVM("kafka", filepath.Dir(libs))
}

// node is one broker, which is a controller too, as its properties describe it.
type node struct {
	JVM

	ID         int
	Listens    string // for clients
	Advertised string // what clients are told: Listens, or a proxy before it
	Internal   string // for the other brokers; "" where there are none
	OAuth      string // for clients with a token; "" where there are none
	Controller string
	Quorum     string // the controllers of all nodes
	Replicas   int    // of the broker's own topics
	InSync     int
	Authorize  bool
}

// launch prepares the node and returns its command. format says how its data folder is made where it is new.
func (n *node) launch(ctx context.Context, s *Server, format ...string) (*exec.Cmd, error) {
	n.Data = s.Data
	if err := n.prepare(ctx, format); err != nil {
		return nil, err
	}
	return n.Command(context.WithoutCancel(ctx), "kafka.Kafka", n.properties()), nil
}

// ready asks once for the cluster's metadata. A broker that answers is still refused by the controller for a while after
// a kill; it is listed, with a controller, only when it takes part.
func (n *node) ready(ctx context.Context, _ *Server) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(n.Listens), kgo.RequestRetries(0))
	if err != nil {
		return fmt.Errorf("asking kafka: %w", err)
	}
	defer client.Close()
	meta, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("asking kafka: %w", err)
	}
	joined := slices.ContainsFunc(meta.Brokers, func(b kadm.BrokerDetail) bool { return int(b.NodeID) == n.ID })
	if !joined || meta.Controller < 0 {
		return errors.New("asking kafka: the broker has not joined yet")
	}
	return nil
}

// JVM is how classes are run as Kafka's are.
type JVM struct {
	java string // the program
	home string // the folder above the jars
	Data string
	Heap string // at most; empty: enough for a broker
	// Debug is a logger that logs all it has, besides everybody's warnings.
	Debug string
}

// NewJVM looks for Java. home is the folder above the jars, what who is for errors.
func NewJVM(who, home string) (JVM, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return JVM{}, fmt.Errorf("starting %s: %w", who, err)
	}
	return JVM{java: java, home: home}, nil
}

const kafkaLibs = "libs" // the folder with the jars, in the home of a JVM

//go:embed kafka.properties
var kafkaProperties string

var kafkaTemplate = template.Must(template.New("kafka.properties").Parse(kafkaProperties))

// clusterID is any 16 bytes in base64url. A random one could begin with a dash, which the tool takes for an option.
const clusterID = "MkU3OEVBNTcwNTJENDM2Qg"

// Tmp is where the JVM unpacks things; the folder must be there.
func (j JVM) Tmp() string { return filepath.Join(j.Data, "tmp") }

// LogDir is where the topics are.
func (j JVM) LogDir() string     { return filepath.Join(j.Data, "log") }
func (j JVM) properties() string { return filepath.Join(j.Data, "server.properties") }

// Command returns the command that runs a main class. A small heap, the serial collector and only the first compiler
// start a broker in 2 s with 150 MB, and the archive of classes that its installation made halves that; an archive that
// does not fit the JVM any more is ignored by it. The archive holds the class path as it was written, so the jars are
// named relative to their folder. Performance files and unpacked native libraries would stay behind in the system's
// temporary folder: the first are off, the second go into the data folder.
func (j JVM) Command(ctx context.Context, class string, rest ...string) *exec.Cmd {
	args := []string{
		"-Xms32m", "-Xmx" + cmp.Or(j.Heap, "256m"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Djava.io.tmpdir=" + j.Tmp(),
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
	}
	if j.Debug != "" {
		args = append(args, "-Dorg.slf4j.simpleLogger.log."+j.Debug+"=debug")
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

// prepare writes the properties and, in a new data folder, formats it.
func (n *node) prepare(ctx context.Context, format []string) error {
	if err := os.MkdirAll(n.Tmp(), 0o700); err != nil {
		return fmt.Errorf("making a folder for kafka: %w", err)
	}
	var text strings.Builder
	if err := kafkaTemplate.Execute(&text, n); err != nil {
		return fmt.Errorf("writing kafka's properties: %w", err)
	}
	if err := os.WriteFile(n.properties(), []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("writing kafka's properties: %w", err)
	}
	if _, err := os.Stat(filepath.Join(n.LogDir(), "meta.properties")); err == nil {
		return nil
	}
	args := append([]string{"format", "-t", clusterID, "-c", n.properties()}, format...)
	if out, err := n.Command(ctx, "kafka.tools.StorageTool", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("formatting kafka's folder: %w: %s", err, out)
	}
	return nil
}

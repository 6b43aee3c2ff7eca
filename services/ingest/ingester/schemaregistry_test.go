package ingester_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// apicurio is a running registry of Apicurio, in memory, without authentication, on loopback only.
type apicurio struct {
	url  string // where it has Confluent's API
	core string // where it has its own, which its converters register schemas with
	// java runs a program of one source file with Apicurio's converters: its arguments are behind these.
	java []string
}

// startApicurio starts a registry that ends with the test.
func startApicurio(t *testing.T) apicurio {
	t.Helper()
	home, err := local.ApicurioPackage.Path()
	java, errJava := exec.LookPath("java")
	_, errCompiler := exec.LookPath("javac") // which a program of one source file needs
	// One compiler, as for Kafka: it starts sooner. What it unpacks goes with its folder. Java 17 reads source in the
	// encoding of the environment.
	command := []string{java, "-Dfile.encoding=UTF-8", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"}
	const confluent = "/apis/ccompat/v7"
	s := localtest.Server(t, errors.Join(err, errJava, errCompiler), local.Description{
		Name: "schema-registry", Ports: 1,
		Command: func(_ context.Context, s *local.Server) (*exec.Cmd, error) {
			args := append(slices.Clone(command), "-Djava.io.tmpdir="+s.Data, "-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port="+s.Port(0),
				"-Dquarkus.log.level=WARN", "-jar", filepath.Join(home, "registry", "runner.jar"))
			return &exec.Cmd{Path: java, Args: args, Dir: s.Data}, nil
		},
		Ready: func(ctx context.Context, s *local.Server) error {
			return local.Ask(ctx, "the schema registry", "http://"+s.Address(0)+confluent+"/subjects", "", nil)
		},
	})
	return apicurio{
		url: "http://" + s.Address(0) + confluent, core: "http://" + s.Address(0) + "/apis/registry/v2",
		java: append(command, "-Djava.io.tmpdir="+s.Data, "-cp", filepath.Join(home, "converter", "*")),
	}
}

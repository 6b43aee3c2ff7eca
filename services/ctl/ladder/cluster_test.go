package ladder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodeAddress is the node's, at which pods reach what runs beside the cluster.
const nodeAddress = "10.99.0.1"

// slow bounds what the cluster takes; a machine may be busy with other things.
const slow = 5 * time.Minute

// services are the components of the chart.
var services = []string{"ingest", "embed", "write"}

// cluster is a Kubernetes of one node, which scripts/kubernetes/cluster.sh starts.
type cluster struct {
	t      *testing.T
	root   string // of the repository
	folder string // of what commands are run in
	env    []string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, root: root, folder: t.TempDir()}
	for _, name := range []string{"CLUSTER", "DEFINITIONS", "KUBERNETES", "REGISTRY", "FRESHET_TEST_KUBERNETES"} {
		if os.Getenv(name) == "" {
			t.Fatalf("%s is not set: run scripts/test-kubernetes.sh", name)
		}
	}
	c.env = append(os.Environ(), "HOME="+c.folder, "KUBECONFIG="+filepath.Join(os.Getenv("CLUSTER"), "admin.conf"), "PATH="+os.Getenv("KUBERNETES")+":"+os.Getenv("PATH"))
	for _, name := range []string{"charts", "scripts"} {
		if err := os.Symlink(filepath.Join(root, name), filepath.Join(c.folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// run runs a command and returns what it says.
func (c *cluster) run(name string, args ...string) (string, error) { return c.feed("", name, args...) }

// feed is run with a text on standard input.
func (c *cluster) feed(in, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*slow)
	defer cancel()
	path, err := exec.LookPath(filepath.Join(os.Getenv("KUBERNETES"), name))
	if err != nil {
		path = name
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Args[0] = name // the one binary looks at it
	cmd.Dir, cmd.Env, cmd.Stdin = c.folder, c.env, strings.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// want runs kubectl, and returns an error where it says something else.
func (c *cluster) want(says string, args ...string) error {
	out, err := c.run("kubectl", args...)
	if err == nil && out != says {
		err = fmt.Errorf("kubectl %s says %q, want %q", strings.Join(args, " "), out, says)
	}
	return err
}

func (c *cluster) script(command string) error {
	_, err := c.run("bash", filepath.Join(c.root, "scripts/kubernetes/cluster.sh"), command)
	return err
}

func (c *cluster) api() (string, error) {
	if err := c.script("api"); err != nil {
		return "", err
	}
	out, err := c.run("kubectl", "version")
	_, version, _ := strings.Cut(out, "Server Version: ")
	return version, err
}

// validateExamples has the API server check the examples' resources against the operators' definitions, the rules in CEL included.
func (c *cluster) validateExamples() (string, error) {
	files, err := filepath.Glob(filepath.Join(c.root, "charts/freshet/examples/*/[^v]*.yaml")) // values.yaml is none
	if err != nil {
		return "", fmt.Errorf("listing the examples: %w", err)
	}
	for _, command := range [][]string{
		{"apply", "--server-side", "--filename", os.Getenv("DEFINITIONS")},
		{"wait", "crd", "--all", "--for=condition=Established"},
		{"create", "namespace", "argocd"},
	} {
		if _, err := c.run("kubectl", command...); err != nil {
			return "", err
		}
	}
	out, err := c.run("kubectl", "apply", "--dry-run=server", "--validate=strict", "--filename", strings.Join(files, ","))
	return fmt.Sprint(strings.Count(out, "(server dry run)"), " objects"), err
}

const alone = "alone" // the namespace and the release of the chart without a node

func (c *cluster) installAlone() (string, error) {
	_, err := c.run("helm", "install", alone, "charts/freshet", "--namespace", alone, "--create-namespace", "--values", "charts/freshet/ci/minimal-values.yaml", "--set", "topics.job=false")
	if err != nil {
		return "", err
	}
	out, err := c.run("kubectl", "get", "all,configmaps,poddisruptionbudgets,serviceaccounts", "--namespace", alone, "--selector", "app.kubernetes.io/instance="+alone, "--output", "name")
	return fmt.Sprint(len(strings.Fields(out)), " objects"), err
}

func (c *cluster) upgradeAlone() (string, error) {
	if _, err := c.run("helm", "upgrade", alone, "charts/freshet", "--namespace", alone, "--reuse-values", "--set", "write.replicas=3"); err != nil {
		return "", err
	}
	return "write has 3 replicas", c.replicasAlone("3")
}

func (c *cluster) rollBackAlone() (string, error) {
	if _, err := c.run("helm", "rollback", alone, "1", "--namespace", alone); err != nil {
		return "", err
	}
	return "write has 2 replicas", c.replicasAlone("2")
}

func (c *cluster) replicasAlone(n string) error {
	return c.want(n, "get", "deployment", alone+"-freshet-write", "--namespace", alone, "--output", "jsonpath={.spec.replicas}")
}

func (c *cluster) uninstallAlone() (string, error) { return "", c.uninstall(alone, alone) }

// uninstall removes a release. An API server alone collects no garbage, so that pods of deployments are none of this.
func (c *cluster) uninstall(release, namespace string) error {
	if _, err := c.run("helm", "uninstall", release, "--namespace", namespace, "--wait"); err != nil {
		return err
	}
	kinds, err := c.run("kubectl", "api-resources", "--namespaced", "--verbs=list", "--output", "name")
	if err != nil {
		return err
	}
	var all []string
	for kind := range strings.FieldsSeq(kinds) {
		if !strings.HasPrefix(kind, "events") && !strings.Contains(kind, ".metrics.") {
			all = append(all, kind)
		}
	}
	return await(func() error {
		for _, selector := range []string{"app.kubernetes.io/instance=" + release, "owner=helm"} {
			if err := c.want("", "get", strings.Join(all, ","), "--namespace", namespace, "--selector", selector, "--output", "name", "--ignore-not-found"); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *cluster) node() (string, error) {
	if err := c.script("node"); err != nil {
		return "", err
	}
	return "", await(func() error {
		return c.want("True", "get", "node", "node0", "--output", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	})
}

func (c *cluster) restricted() (string, error) {
	if _, err := c.run("kubectl", "create", "namespace", "refused"); err != nil {
		return "", err
	}
	if err := await(func() error {
		_, err := c.run("kubectl", "get", "serviceaccount", "default", "--namespace", "refused")
		return err
	}); err != nil {
		return "", err
	}
	_, err := c.run("kubectl", "run", "root", "--image=root", "--namespace", "refused")
	if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		return "", fmt.Errorf("a pod without a security context: %w", err)
	}
	return "", nil
}

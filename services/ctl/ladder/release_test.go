package ladder_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	namespace = "search" // the README's
	name      = "freshet"
)

// release is the chart in the cluster.
type release struct {
	*cluster
	*servers
	*shop
}

// values are what a team would set, and times that make a killed pod be noticed sooner.
const values = `
image: {registry: %q, repository: freshet, tag: %q, pullPolicy: Always}
kafka: {brokers: [%q]}
topics: {partitions: 6, replication: 1, minInSync: 1}
weaviate: {url: "http://%s", grpc: %q, existingSecret: freshet, apiKeyKey: weaviate}
openai: {url: %q, existingSecret: freshet, keyKey: openai}
defaults:
  resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 512Mi}}
  env: {FRESHET_SESSION_TIMEOUT: 10s, FRESHET_WRITE_DOUBT: 20s}
`

var readme = regexp.MustCompile("(?s)<!-- the ladder runs these -->\n```sh\n(.*?)```")

// install runs the README's commands as they are, in a folder that has a values.yaml and a pipeline.yaml.
func (r *release) install() (string, error) {
	text, err := os.ReadFile(filepath.Join(r.root, "README.md"))
	if err != nil {
		return "", fmt.Errorf("reading the README: %w", err)
	}
	m := readme.FindSubmatch(text)
	if m == nil {
		return "", errors.New("the README has no commands for the ladder")
	}
	for file, content := range map[string]string{
		"values.yaml":   fmt.Sprintf(values, os.Getenv("REGISTRY"), os.Getenv("TAG"), r.kafka, r.rest, r.grpc, r.embeddings),
		"pipeline.yaml": string(rig.PipelineFile("space: {provider: openai, model: use-lite, dimensions: 512}")),
	} {
		if err := os.WriteFile(filepath.Join(r.folder, file), []byte(content), 0o600); err != nil {
			return "", fmt.Errorf("writing %s: %w", file, err)
		}
	}
	r.env = append(r.env, "WEAVIATE_KEY="+r.weaviateKey, "OPENAI_KEY="+firstKey)
	_, err = r.run("bash", "-euxo", "pipefail", "-c", string(m[1]))
	if err != nil {
		return "", errors.Join(err, r.describe())
	}
	return r.pods()
}

// describe returns, as an error, what the cluster says of the pods.
func (r *release) describe() error {
	pods, _ := r.run("kubectl", "describe", "pods", "--namespace", namespace)
	logs, _ := r.run("kubectl", "logs", "--namespace", namespace, "--selector", "app.kubernetes.io/part-of=freshet", "--prefix", "--tail=20")
	return errors.New(pods + "\n" + logs)
}

func (r *release) pods() (string, error) {
	out, err := r.run("kubectl", "get", "pods", "--namespace", namespace, "--field-selector", "status.phase=Running", "--output", "name")
	return fmt.Sprint(len(strings.Fields(out)), " pods run"), err
}

func (r *release) flow() (string, error) {
	if err := r.fill(); err != nil {
		return "", err
	}
	return fmt.Sprint(len(r.ids), " products are as they were sent"), r.compare()
}

func (r *release) selftest() (string, error) {
	out, err := r.run("helm", "test", name, "--namespace", namespace, "--logs", "--timeout", "5m")
	if err == nil && !strings.Contains(out, "and not found any more after") {
		err = fmt.Errorf("helm test says nothing of a canary: %s", out)
	}
	if err != nil {
		return "", errors.Join(err, r.describe())
	}
	after := regexp.MustCompile(`found +after (\S+),`).FindStringSubmatch(out)
	if after == nil {
		return "", fmt.Errorf("helm test does not say after what time the canary was found: %s", out)
	}
	return "a canary is found after " + after[1] + ", deleted, and not found any more", nil
}

// underLoad returns a step that disturbs the cluster while changes are sent, and then compares the index with the table.
func (r *release) underLoad(disturb func() error) func() (string, error) {
	return func() (string, error) {
		before := r.sent
		ctx, stop := context.WithCancel(r.shop.t.Context())
		sent := make(chan error, 1)
		go func() { sent <- r.trickle(ctx) }()
		err := disturb()
		stop()
		if err := errors.Join(err, <-sent); err != nil {
			return "", errors.Join(err, r.describe())
		}
		if err := errors.Join(r.compare(), r.noRestarts()); err != nil {
			return "", errors.Join(err, r.describe())
		}
		return fmt.Sprintf("%d changes, none lost or stale", r.sent-before), nil
	}
}

// noRestarts returns an error where a container had to be started again. Pods that were killed are not there any more.
func (r *release) noRestarts() error {
	out, err := r.run("kubectl", "get", "pods", "--namespace", namespace, "--output", "jsonpath={.items[*].status.containerStatuses[*].restartCount}")
	if err == nil && strings.Trim(out, "0 ") != "" {
		err = fmt.Errorf("containers were started again (%s)", out)
	}
	return err
}

func (r *release) upgrade(set ...string) error {
	args := []string{"upgrade", name, "charts/freshet", "--namespace", namespace, "--values", "values.yaml", "--set-file", "pipeline.file=pipeline.yaml", "--wait", "--timeout", "10m"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	_, err := r.run("helm", args...)
	return err
}

func (r *release) roll() error { return r.upgrade("defaults.podAnnotations.rolled=once") }

// configure changes a setting of all services, and the pipeline file.
func (r *release) configure() error {
	file := filepath.Join(r.folder, "pipeline.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the pipeline file: %w", err)
	}
	if err := os.WriteFile(file, append(text, "# changed\n"...), 0o600); err != nil {
		return fmt.Errorf("changing the pipeline file: %w", err)
	}
	if err := r.upgrade("log.level=debug"); err != nil {
		return err
	}
	for _, s := range services {
		if err := r.want("debug", "get", "deployment", name+"-"+s, "--namespace", namespace, "--output",
			`jsonpath={.spec.template.spec.containers[0].env[?(@.name=="FRESHET_LOG_LEVEL")].value}`); err != nil {
			return err
		}
	}
	return nil
}

// rotate exchanges the key of the embeddings server as one does: both are taken until all pods ask with the new one.
func (r *release) rotate() error {
	r.take(firstKey, secondKey)
	patch := fmt.Sprintf(`{"data": {"openai": %q}}`, base64.StdEncoding.EncodeToString([]byte(secondKey)))
	if _, err := r.run("kubectl", "patch", "secret", "freshet", "--namespace", namespace, "--patch", patch); err != nil {
		return err
	}
	if err := r.onlySecond(); err != nil {
		return err
	}
	r.take(secondKey)
	return r.onlySecond()
}

// onlySecond waits until there were many requests with the second key, and none with the first one meanwhile.
func (r *release) onlySecond() error {
	first, second := r.requests()
	return await(func() error {
		f, s := r.requests()
		if f != first {
			first, second = f, s
		}
		if many := 40; s-second < many {
			return fmt.Errorf("of %d requests with the new key, %d were since the last one with the old key", s, s-second)
		}
		return nil
	})
}

// each disturbs one pod of each service after the other, and waits until the service has all of its pods again.
func (r *release) each(disturb func(pod string) error) error {
	for _, s := range services {
		pod, err := r.run("kubectl", "get", "pods", "--namespace", namespace, "--selector", "app.kubernetes.io/component="+s, "--output", "jsonpath={.items[0].metadata.name}")
		if err != nil {
			return err
		}
		if err := disturb(pod); err != nil {
			return err
		}
		if err := r.rolledOut(s); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) rolledOut(service string) error {
	_, err := r.run("kubectl", "rollout", "status", "deployment/"+name+"-"+service, "--namespace", namespace, "--timeout", "5m")
	return err
}

// evict asks a pod to leave, as kubectl drain does; the budget of its service may say no.
func (r *release) evict() error {
	return r.each(func(pod string) error {
		eviction := fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q, "namespace": %q}}`, pod, namespace)
		return await(func() error {
			_, err := r.feed(eviction, "kubectl", "create", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+pod+"/eviction", "-f", "-")
			return err
		})
	})
}

// kill ends a pod at once, without a word to it.
func (r *release) kill() error {
	return r.each(func(pod string) error {
		_, err := r.run("kubectl", "delete", "pod", pod, "--namespace", namespace, "--grace-period=0", "--force")
		return err
	})
}

func (r *release) scale() error {
	for _, n := range []int{3, 1, 2} {
		for _, s := range services {
			if _, err := r.run("kubectl", "scale", "deployment/"+name+"-"+s, "--namespace", namespace, fmt.Sprint("--replicas=", n)); err != nil {
				return err
			}
		}
		for _, s := range services {
			if err := r.rolledOut(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *release) uninstall() (string, error) {
	if _, err := r.run("kubectl", "delete", "pod", name+"-selftest", "--namespace", namespace, "--ignore-not-found"); err != nil {
		return "", err
	}
	return "", r.cluster.uninstall(name, namespace)
}

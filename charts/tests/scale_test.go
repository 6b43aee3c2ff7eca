package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// freshet returns the path of the built command.
func freshet(t testing.TB) string {
	t.Helper()
	binary, err := filepath.Abs(root + "/bin/freshet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: `make build` builds it", err)
	}
	return binary
}

// acl asks `freshet topics acl`, in which the names of topics and groups are those of the services.
func acl(t testing.TB, flags ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), freshet(t), append([]string{"topics", "acl"}, flags...)...)
	cmd.Env = append(os.Environ(), "FRESHET_PIPELINE="+root+"/docs/examples/pipeline.yaml")
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return output
}

type trigger struct {
	Metadata          map[string]string `json:"metadata"`
	AuthenticationRef struct {
		Name string `json:"name"`
	} `json:"authenticationRef"`
}

type scaledObject struct {
	Spec struct {
		MaxReplicaCount int       `json:"maxReplicaCount"`
		Triggers        []trigger `json:"triggers"`
	} `json:"spec"`
}

// Each group that a service reads by is scaled on, with the topics that it reads; ingest's are the pipeline file's.
func TestKEDA_scalesOnTheGroupsAndTopicsOfTheServices(t *testing.T) {
	var grants []struct {
		Role, Kind, Name string
		Operations       []string
	}
	if err := json.Unmarshal(acl(t, "-o", "json"), &grants); err != nil {
		t.Fatal(err)
	}
	list := render(t, chart, chart+"/examples/keda-lag/values.yaml")
	for _, service := range services {
		reads := map[string][]string{}
		for _, g := range grants {
			state := g.Name == "freshet.control" || g.Name == "freshet.costs" // which no group reads
			if g.Role == service && !state && slices.Contains(g.Operations, "READ") {
				reads[g.Kind] = append(reads[g.Kind], g.Name)
			}
		}
		var groups, topics []string
		for _, trigger := range find[scaledObject](t, list, "ScaledObject", "freshet-"+service).Spec.Triggers {
			groups = append(groups, trigger.Metadata["consumerGroup"])
			topics = append(topics, trigger.Metadata["topic"])
		}
		slices.Sort(topics)
		slices.Sort(groups)
		if groups = slices.Compact(groups); !slices.Equal(groups, reads["group"]) {
			t.Errorf("%s scales on the groups %v and reads by %v", service, groups, reads["group"])
		}
		if service == "ingest" {
			reads["topic"] = []string{""} // all that the group has read
		}
		if !slices.Equal(topics, reads["topic"]) {
			t.Errorf("%s scales on the topics %v and reads %v", service, topics, reads["topic"])
		}
	}
}

func TestKEDA_usesTheGroupThatIsSet(t *testing.T) {
	list := render(t, chart, chart+"/examples/keda-lag/values.yaml", at("defaults.env.FRESHET_EMBED_GROUP", "shop"))
	triggers := find[scaledObject](t, list, "ScaledObject", "freshet-embed").Spec.Triggers
	if triggers[0].Metadata["consumerGroup"] != "shop" || triggers[1].Metadata["consumerGroup"] != "shop-bulk" {
		t.Errorf("%+v", triggers)
	}
}

func TestKEDA_logsInAsTheServicesDo(t *testing.T) {
	type authentication struct {
		Spec struct {
			SecretTargetRef []struct{ Parameter, Name, Key string }
			PodIdentity     struct{ Provider, IdentityOwner string }
		}
	}
	list := render(t, chart, chart+"/examples/strimzi/values.yaml", at("write.autoscaling.type", "keda"))
	used := find[scaledObject](t, list, "ScaledObject", "freshet-write").Spec.Triggers[0]
	refs := find[authentication](t, list, "TriggerAuthentication", used.AuthenticationRef.Name).Spec.SecretTargetRef
	expected := []struct{ Parameter, Name, Key string }{
		{"ca", "shop-cluster-ca-cert", "ca.crt"}, {"cert", "freshet-write", "user.crt"}, {"key", "freshet-write", "user.key"},
	}
	if !slices.Equal(refs, expected) || used.Metadata["tls"] != "enable" {
		t.Errorf("%+v %+v", refs, used)
	}
	list = render(t, chart, chart+"/examples/keda-lag/values.yaml")
	used = find[scaledObject](t, list, "ScaledObject", "freshet-write").Spec.Triggers[0]
	refs = find[authentication](t, list, "TriggerAuthentication", used.AuthenticationRef.Name).Spec.SecretTargetRef
	expected = []struct{ Parameter, Name, Key string }{
		{"ca", "kafka-tls", "ca.crt"}, {"password", "kafka-user", "password"}, {"username", "kafka-user", "username"},
	}
	if !slices.Equal(refs, expected) || used.Metadata["sasl"] != "scram_sha512" {
		t.Errorf("%+v %+v", refs, used)
	}
	list = render(t, chart, chart+"/examples/msk-iam/values.yaml")
	used = find[scaledObject](t, list, "ScaledObject", "freshet-embed").Spec.Triggers[0]
	identity := find[authentication](t, list, "TriggerAuthentication", used.AuthenticationRef.Name).Spec.PodIdentity
	if identity.Provider != "aws" || used.Metadata["saslTokenProvider"] != "aws_msk_iam" || used.Metadata["awsRegion"] != "eu-west-1" {
		t.Errorf("%+v %+v", identity, used)
	}
}

// Helm applies server-side: a number in the chart would undo the autoscaler's at each upgrade.
func TestDeployment_hasReplicasOnlyWithoutAnAutoscaler(t *testing.T) {
	list := render(t, chart, chart+"/examples/hpa/values.yaml")
	for service, scaled := range map[string]bool{"ingest": true, "embed": false, "write": true} {
		replicas := find[appsv1.Deployment](t, list, "Deployment", "freshet-"+service).Spec.Replicas
		if (replicas == nil) != scaled {
			t.Errorf("%s has replicas %v", service, replicas)
		}
	}
	if most := find[autoscalingv2.HorizontalPodAutoscaler](t, list, "HorizontalPodAutoscaler", "freshet-write").Spec.MaxReplicas; most != 6 {
		t.Errorf("write scales up to %d", most)
	}
	embed := environment(t, render(t, chart, chart+"/examples/keda-lag/values.yaml"), "embed")
	if got := embed["FRESHET_OPENAI_REPLICAS"]; !slices.Equal(got, []string{"8"}) {
		t.Errorf("the provider's limits are shared among %v, not the most that there may be", got)
	}
}

func TestNetworkPolicy_knowsThePortsThatAreNotWritten(t *testing.T) {
	for _, c := range []struct {
		path, value string
		port        int
	}{
		{"redis.url", "redis://redis:6380/1", 6380},
		{"redis.url", "redis-sentinel://a,b/shop", 26379},
		{"redis.url", "rediss://redis", 6379},
		{"weaviate.url", "https://weaviate", 443},
	} {
		list := render(t, chart, chart+"/ci/minimal-values.yaml", at("networkPolicy.enabled", true), at(c.path, c.value))
		ports := []int{}
		for _, rule := range find[networkingv1.NetworkPolicy](t, list, "NetworkPolicy", "freshet").Spec.Egress {
			for _, p := range rule.Ports {
				ports = append(ports, p.Port.IntValue())
			}
		}
		if !slices.Contains(ports, c.port) {
			t.Errorf("%s=%v: there is no way out to port %d, but to %v", c.path, c.value, c.port, ports)
		}
	}
}

func TestNetworkPolicy_letsThroughWhatTheAddressesSay(t *testing.T) {
	list := render(t, chart, full, at("networkPolicy.enabled", true))
	policy := find[networkingv1.NetworkPolicy](t, list, "NetworkPolicy", "freshet").Spec
	var ports []int
	for _, rule := range policy.Egress {
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.IntValue())
		}
	}
	slices.Sort(ports)
	// DNS twice, http and https, OTLP, the registry, our admin port, both clusters (and login.example.org), sentinels, gRPC
	if expected := []int{53, 53, 443, 443, 443, 4317, 8081, 9090, 9093, 9093, 26379, 50051}; !slices.Equal(ports, expected) {
		t.Errorf("egress to %v, not %v", ports, expected)
	}
	list = render(t, chart, chart+"/examples/weaviate-in-cluster/values.yaml")
	for _, rule := range find[networkingv1.NetworkPolicy](t, list, "NetworkPolicy", "freshet").Spec.Egress {
		if len(rule.To) == 0 && len(rule.Ports) == 0 {
			t.Error("a rule lets everything through")
		}
	}
}

func TestExamples_usersOfStrimziHaveTheRightsOfTheServices(t *testing.T) {
	text, err := os.ReadFile(chart + "/examples/strimzi/users.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if printed := acl(t, "-o", "strimzi", "--cluster", "shop"); string(text) != string(printed) {
		t.Errorf("write it again: FRESHET_PIPELINE=docs/examples/pipeline.yaml bin/freshet topics acl -o strimzi --cluster shop")
	}
	// Each user's Secret is the one that the chart mounts.
	list := render(t, chart, chart+"/examples/strimzi/values.yaml")
	for _, user := range objects(t, text) {
		if !slices.ContainsFunc(list, func(o object) bool {
			return o.Metadata.Name == user.Metadata.Name && mountsSecret(t, o, user.Metadata.Name)
		}) {
			t.Errorf("nobody uses the Secret of %v", user)
		}
	}
	validate(t, objects(t, acl(t, "-o", "strimzi", "--authentication", "scram-sha-512")))
}

func mountsSecret(t testing.TB, o object, name string) bool {
	t.Helper()
	var workload struct {
		Spec struct {
			corev1.PodSpec `json:",inline"` // of a Pod

			Template corev1.PodTemplateSpec `json:"template"` // of a Deployment or a Job
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(o.text, &workload); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(slices.Concat(workload.Spec.Volumes, workload.Spec.Template.Spec.Volumes), func(v corev1.Volume) bool {
		return v.Secret != nil && v.Secret.SecretName == name
	})
}

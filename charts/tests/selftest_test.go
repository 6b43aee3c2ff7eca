package tests

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const minimal = chart + "/ci/minimal-values.yaml"

// selftest renders the pod of helm test, and returns its variables by their names.
func selftest(t *testing.T, over ...any) (corev1.Pod, map[string]corev1.EnvVar) {
	t.Helper()
	list := render(t, chart, over...)
	validate(t, list)
	pod := find[corev1.Pod](t, list, "Pod", "freshet-selftest")
	env := map[string]corev1.EnvVar{}
	for _, variable := range pod.Spec.Containers[0].Env {
		env[variable.Name] = variable
	}
	return pod, env
}

// The selftest stands where an operator would: it asks the services at their port, reads what ingest reads, as the services' user.
func TestSelftest_hasWhatTheServicesHave(t *testing.T) {
	pod, env := selftest(t, minimal, values{
		"adminPort":      8081,
		"schemaRegistry": values{"urls": []any{"https://registry:8081"}, "existingSecret": "registry-token"},
		"defaults": values{
			"kafka":    values{"sasl": values{"mechanism": "PLAIN", "existingSecret": "services-user"}},
			"extraEnv": []any{values{"name": "FRESHET_KAFKA_SASL_PASSWORD", "valueFrom": values{"secretKeyRef": values{"name": "vault", "key": "password"}}}},
		},
	})
	if got := env["FRESHET_ADMIN_ADDRESSES"].Value; got != "freshet-admin:8081" {
		t.Errorf("it asks the services at %q", got)
	}
	if got := env["FRESHET_SCHEMA_REGISTRY_URL"].Value; got != "https://registry:8081" {
		t.Errorf("it asks the registry at %q", got)
	}
	for _, secret := range []string{"registry-token", "services-user"} {
		if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == secret }) {
			t.Errorf("it does not mount %s", secret)
		}
	}
	if _, twice := env["FRESHET_KAFKA_SASL_PASSWORD_FILE"]; twice || env["FRESHET_KAFKA_SASL_PASSWORD"].ValueFrom == nil {
		t.Error("the password is not the one that extraEnv has")
	}
}

// What only ingest has a setting for can stand nowhere but at ingest, and the selftest would look at another cluster, ask no
// registry, or take for a row what ingest does not. Who ingest is, and what comes over HTTP or by Redis, is none of its business.
func TestSelftest_hasWhatIngestAloneIsTold(t *testing.T) {
	known, own := settings(t), values{}
	for _, name := range known["ingest"] {
		if !slices.Contains(known["embed"], name) {
			own[name] = "/etc/registry/" + name
		}
	}
	own["FRESHET_KAFKA_SASL_USER"] = "ingest"
	_, env := selftest(t, minimal, at("ingest", values{
		"env":               own,
		"extraEnv":          []any{values{"name": "FRESHET_SCHEMA_REGISTRY_TOKEN", "valueFrom": values{"secretKeyRef": values{"name": "vault", "key": "token"}}}},
		"extraVolumes":      []any{values{"name": "registry", "secret": values{"secretName": "registry"}}},
		"extraVolumeMounts": []any{values{"name": "registry", "mountPath": "/etc/registry"}},
	}))
	shared := 0
	for name, value := range own {
		theirs := strings.HasPrefix(name, "FRESHET_HTTP_") || strings.HasPrefix(name, "FRESHET_REDIS_") || name == "FRESHET_KAFKA_SASL_USER" || name == "FRESHET_SCHEMA_REGISTRY_TOKEN_FILE"
		switch {
		case theirs && env[name].Name != "":
			t.Errorf("it has %s", name)
		case !theirs && env[name].Value != value:
			t.Errorf("%s is %q", name, env[name].Value)
		case !theirs:
			shared++
		}
	}
	if shared < 20 || env["FRESHET_SCHEMA_REGISTRY_TOKEN"].ValueFrom == nil {
		t.Errorf("%d settings are shared, and the token is %v", shared, env["FRESHET_SCHEMA_REGISTRY_TOKEN"])
	}
}

func TestSelftest_mountsWhatIngestsSettingsName(t *testing.T) {
	own := values{"name": "own", "emptyDir": values{}}
	pod, _ := selftest(t, minimal, values{
		"defaults": values{"extraVolumes": []any{own}, "extraVolumeMounts": []any{values{"name": "own", "mountPath": "/own"}}},
		// A list goes over that of the defaults as a whole, so that it may have the same again.
		"ingest": values{
			"extraVolumes":      []any{own, values{"name": "registry", "secret": values{"secretName": "registry"}}},
			"extraVolumeMounts": []any{values{"name": "own", "mountPath": "/own"}, values{"name": "registry", "mountPath": "/etc/registry"}},
		},
	})
	var paths []string
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		paths = append(paths, mount.MountPath)
	}
	if want := []string{"/etc/freshet/pipeline", "/own", "/etc/registry"}; !slices.Equal(paths, want) {
		t.Errorf("it mounts %v, want %v", paths, want)
	}
}

// A user who may write to a source topic is not mixed with ingest's.
func TestSelftest_hasAUserOfItsOwn(t *testing.T) {
	_, env := selftest(t, full, values{
		"selftest": values{"kafka": values{"sasl": values{"existingSecret": "own"}}, "sourceKafka": values{"sasl": values{"existingSecret": "own", "oauth": values{"clientId": "selftest"}}}},
		"ingest":   values{"kafka": values{"sasl": values{"existingSecret": "ingest"}}, "env": values{"FRESHET_SOURCE_KAFKA_SASL_OAUTH_CLIENT_ID": "ingest"}},
	})
	if user := env["FRESHET_KAFKA_SASL_USER"].ValueFrom; user == nil || user.SecretKeyRef.Name != "own" {
		t.Errorf("its user is %v", user)
	}
	if client := env["FRESHET_SOURCE_KAFKA_SASL_OAUTH_CLIENT_ID"].Value; client != "selftest" {
		t.Errorf("at the sources it is %q", client)
	}
}

// Jobs and the selftest have no admin port: who asks all addresses of the name would ask them in vain.
func TestAdminService_standsForTheServicesAlone(t *testing.T) {
	list := render(t, chart, minimal)
	selected := labels.SelectorFromSet(find[corev1.Service](t, list, "Service", "freshet-admin").Spec.Selector)
	pods := map[string]labels.Set{
		"topics":   find[batchv1.Job](t, list, "Job", "freshet-topics").Spec.Template.Labels,
		"selftest": find[corev1.Pod](t, list, "Pod", "freshet-selftest").Labels,
	}
	for _, service := range services {
		pods[service] = find[appsv1.Deployment](t, list, "Deployment", "freshet-"+service).Spec.Template.Labels
	}
	for name, set := range pods {
		if got, want := selected.Matches(set), slices.Contains(services, name); got != want {
			t.Errorf("that it selects %s is %v", name, got)
		}
	}
}

package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/json"
)

// types has what an object of each kind is decoded into.
var types = map[string]func() any{
	"v1/ConfigMap":                            func() any { return new(corev1.ConfigMap) },
	"v1/Namespace":                            func() any { return new(corev1.Namespace) },
	"v1/Pod":                                  func() any { return new(corev1.Pod) },
	"v1/Service":                              func() any { return new(corev1.Service) },
	"v1/ServiceAccount":                       func() any { return new(corev1.ServiceAccount) },
	"apps/v1/Deployment":                      func() any { return new(appsv1.Deployment) },
	"autoscaling/v2/HorizontalPodAutoscaler":  func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
	"batch/v1/Job":                            func() any { return new(batchv1.Job) },
	"networking.k8s.io/v1/Ingress":            func() any { return new(networkingv1.Ingress) },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return new(networkingv1.NetworkPolicy) },
	"policy/v1/PodDisruptionBudget":           func() any { return new(policyv1.PodDisruptionBudget) },
	"monitoring.coreos.com/v1/PodMonitor":     func() any { return new(monitoringv1.PodMonitor) },
	"monitoring.coreos.com/v1/PrometheusRule": func() any { return new(monitoringv1.PrometheusRule) },
	"keda.sh/v1alpha1/ScaledObject":           func() any { return definition{keda, "keda.sh_scaledobjects.yaml"} },
	"keda.sh/v1alpha1/TriggerAuthentication":  func() any { return definition{keda, "keda.sh_triggerauthentications.yaml"} },
	"kafka.strimzi.io/v1/Kafka":               func() any { return definition{installed, "Kafka.yaml"} },
	"kafka.strimzi.io/v1/KafkaNodePool":       func() any { return definition{installed, "KafkaNodePool.yaml"} },
	"kafka.strimzi.io/v1/KafkaTopic":          func() any { return definition{installed, "KafkaTopic.yaml"} },
	"kafka.strimzi.io/v1/KafkaUser":           func() any { return definition{installed, "KafkaUser.yaml"} },
	"argoproj.io/v1alpha1/Application":        func() any { return definition{installed, "Application.yaml"} },
}

// valuesFiles lists the chart's sample values, each complete.
func valuesFiles(t testing.TB) []string {
	t.Helper()
	return append(glob(t, chart+"/ci/*-values.yaml"), glob(t, chart+"/examples/*/values.yaml")...)
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s matches nothing: %v", pattern, err)
	}
	return files
}

func TestChart_rendersWhatKubernetesTakes(t *testing.T) {
	for _, file := range valuesFiles(t) {
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			list := render(t, chart, file)
			validate(t, list)
			for _, kind := range []string{"Deployment", "ServiceAccount", "Service"} {
				if !slices.ContainsFunc(list, func(o object) bool { return o.Kind == kind }) {
					t.Errorf("no %s is rendered", kind)
				}
			}
		})
	}
}

func TestChart_passesLint(t *testing.T) {
	for _, file := range valuesFiles(t) {
		if _, err := helm(t, []string{"lint", "--strict", "--quiet", chart}, file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestExamples_areWhatKubernetesTakes(t *testing.T) {
	for _, file := range glob(t, chart+"/examples/*/*") {
		if filepath.Base(file) == "values.yaml" {
			continue
		}
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			validate(t, objects(t, text))
		})
	}
}

// The pipeline files that stand in sample values are ones that the services take.
func TestExamples_pipelinesAreRead(t *testing.T) {
	read := 0
	for _, file := range append(valuesFiles(t), devValues) {
		for _, o := range render(t, chart, file) {
			if o.String() != "ConfigMap/freshet-pipeline" {
				continue
			}
			read++
			check := exec.CommandContext(t.Context(), freshet(t), "plan", "--check", "--file", "/dev/stdin")
			check.Stdin = strings.NewReader(find[corev1.ConfigMap](t, []object{o}, "ConfigMap", "freshet-pipeline").Data["pipeline.yaml"])
			if output, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", file, err, output)
			}
		}
	}
	if read < 3 {
		t.Errorf("only %d pipeline files are read", read)
	}
}

// validate decodes each object as strictly as its kind allows, and holds its pods against Pod Security's level restricted.
func validate(t *testing.T, list []object) {
	t.Helper()
	seen := map[string]bool{}
	for _, o := range list {
		if seen[o.String()] {
			t.Errorf("%v is there twice", o)
		}
		seen[o.String()] = true
		decoded, err := decode(t, o)
		if err != nil {
			t.Errorf("%v: %v", o, err)
		}
		restricted(t, o, decoded)
	}
}

// decode returns an object as the type of its kind, or as its definition where it has none, and what is wrong with it.
func decode(t testing.TB, o object) (any, error) {
	t.Helper()
	target := types[o.APIVersion+"/"+o.Kind]
	if target == nil {
		return nil, fmt.Errorf("nothing here knows %s of %s", o.Kind, o.APIVersion)
	}
	into := target()
	if custom, ok := into.(definition); ok {
		return into, custom.check(t, o)
	}
	return into, strictly(o.text, into)
}

func strictly(text []byte, into any) error {
	strict, err := json.UnmarshalStrict(text, into)
	return errors.Join(append(strict, err)...)
}

func restricted(t *testing.T, o object, decoded any) {
	t.Helper()
	var pod corev1.PodTemplateSpec
	switch owner := decoded.(type) {
	case *corev1.Pod:
		pod = corev1.PodTemplateSpec{ObjectMeta: owner.ObjectMeta, Spec: owner.Spec}
	case *appsv1.Deployment:
		pod = owner.Spec.Template
	case *batchv1.Job:
		pod = owner.Spec.Template
	default:
		return
	}
	for _, fault := range faults(t, &pod.ObjectMeta, &pod.Spec) {
		t.Errorf("%v is not restricted: %s: %s", o, fault.ForbiddenReason, fault.ForbiddenDetail)
	}
	if pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
		t.Errorf("%v mounts a token", o)
	}
	for _, c := range pod.Spec.Containers {
		mounts(t, o, pod.Spec, c)
		// A server-side apply, which is helm's, refuses a list whose keys stand twice.
		names := map[string]bool{}
		for _, variable := range c.Env {
			if names[variable.Name] {
				t.Errorf("%v has %s twice", o, variable.Name)
			}
			names[variable.Name] = true
		}
	}
}

func faults(t *testing.T, metadata *metav1.ObjectMeta, pod *corev1.PodSpec) []policy.CheckResult {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	results := evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, metadata, pod)
	return slices.DeleteFunc(results, func(r policy.CheckResult) bool { return r.Allowed })
}

// mounts holds that each file that a variable names is mounted, and each mount has its volume.
func mounts(t *testing.T, o object, pod corev1.PodSpec, c corev1.Container) {
	t.Helper()
	for _, variable := range c.Env {
		if strings.HasPrefix(variable.Value, "/etc/freshet/") &&
			!slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == filepath.Dir(variable.Value) }) {
			t.Errorf("%v: %s is %s, and nothing is mounted there", o, variable.Name, variable.Value)
		}
	}
	for _, mount := range c.VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
			t.Errorf("%v mounts %s, which is no volume", o, mount.Name)
		}
	}
}

package tests

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

const (
	devChart  = "../freshet-dev"
	devValues = devChart + "/freshet-values.yaml"
)

func TestDev_rendersWhatKubernetesTakes(t *testing.T) {
	list := render(t, devChart, values{"servers": values{"embedder": values{"enabled": true}}})
	if len(list) != 11 { // five servers, and Prometheus' file
		t.Errorf("%d objects: %v", len(list), list)
	}
	validate(t, list)
	validate(t, render(t, chart, devValues))
}

// What Freshet's values name is what the servers' Services serve.
func TestDev_isWhereFreshetLooks(t *testing.T) {
	servers := render(t, devChart)
	freshet := read[struct {
		Kafka    struct{ Brokers []string }
		Weaviate struct{ URL, GRPC string }
		Traces   struct{ Endpoint string }
	}](t, devValues)
	for _, address := range append(freshet.Kafka.Brokers, freshet.Weaviate.URL, freshet.Weaviate.GRPC, freshet.Traces.Endpoint) {
		if !strings.Contains(address, "//") {
			address = "//" + address
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		ports := find[corev1.Service](t, servers, "Service", u.Hostname()).Spec.Ports
		if !slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return u.Port() == strconv.Itoa(int(p.Port)) }) {
			t.Errorf("%s is asked for, and served are the ports %v", address, ports)
		}
	}
	prometheus := find[corev1.ConfigMap](t, servers, "ConfigMap", "prometheus").Data["prometheus.yml"]
	if admin := find[corev1.Service](t, render(t, chart, devValues), "Service", "freshet-admin"); !strings.Contains(prometheus, admin.Name) {
		t.Errorf("Prometheus does not look at %s", admin.Name)
	}
}

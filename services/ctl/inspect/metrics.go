package inspect

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	// scrapeBound is how long a service may take to show its metrics.
	scrapeBound = 3 * time.Second
	// scrapeBytes bounds what is read of an answer.
	scrapeBytes = 16 << 20
)

// metrics is what the services' admin ports show.
type metrics struct {
	services []Service
	silent   []string            // addresses that show no metrics, as they are written
	samples  map[string][]sample // by metric, of all services that answer
}

type sample struct {
	labels  map[string]string
	value   float64             // of a histogram, how often it was observed
	buckets map[float64]float64 // of a histogram: cumulative counts by upper bound
}

// scrape asks all admin ports at once. One that does not answer is a service that is not ready, and is noted.
func (i *Inspector) scrape(ctx context.Context, n *notes) metrics {
	ctx, cancel := context.WithTimeout(ctx, 2*scrapeBound)
	defer cancel()
	if len(i.cfg.Admin) == 0 {
		n.note("the services' metrics: FRESHET_ADMIN_ADDRESSES does not say where their admin ports are")
	}
	addresses, silent := resolve(ctx, i.cfg.Admin, n)
	m := metrics{services: make([]Service, len(addresses)), silent: silent, samples: map[string][]sample{}}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for at, address := range addresses {
		asking.Go(func() {
			service, families, err := i.ask(ctx, address)
			m.services[at] = service
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				m.services[at].Says = err.Error()
				m.silent = append(m.silent, address)
				n.note("the metrics of %s: %v", address, err)
			}
			m.add(families)
		})
	}
	asking.Wait()
	slices.Sort(m.silent)
	return m
}

// resolve returns all addresses that names stand for, sorted, each once, and the names that stand for none.
func resolve(ctx context.Context, names []string, n *notes) (all, none []string) {
	for _, name := range names {
		host, port, err := net.SplitHostPort(strings.TrimSpace(name))
		if err != nil {
			n.note("the metrics of %s: it is no host:port", name)
			none = append(none, name)
			continue
		}
		host = cmp.Or(host, "localhost")
		found, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			n.note("the metrics of %s: %v", name, err)
			none = append(none, name)
			continue
		}
		if host == "localhost" { // both families' loopback are one process
			found = found[:1]
		}
		for _, address := range found {
			all = append(all, net.JoinHostPort(address, port))
		}
	}
	slices.Sort(all)
	return slices.Compact(all), none
}

// ask returns what a service says of itself. Its error says why it shows no metrics.
func (i *Inspector) ask(ctx context.Context, address string) (Service, map[string]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeBound)
	defer cancel()
	s := Service{Address: address, Stages: []string{}}
	_, text, err := i.get(ctx, "http://"+address+"/metrics")
	if err != nil {
		return s, nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return s, nil, fmt.Errorf("they cannot be read: %w", err)
	}
	for _, m := range families[metricUnfinished].GetMetric() {
		s.Stages = append(s.Stages, labelsOf(m)["stage"])
	}
	slices.Sort(s.Stages)
	s.Stages = slices.Compact(s.Stages)
	status, says, err := i.get(ctx, "http://"+address+"/readyz")
	if s.Says = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(says), "ok")); err != nil {
		s.Says = err.Error()
	}
	s.Ready = err == nil && status == http.StatusOK
	return s, families, nil
}

func (i *Inspector) get(ctx context.Context, url string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", fmt.Errorf("asking: %w", err)
	}
	answer, err := i.http.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("asking: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(answer.Body, scrapeBytes))
	if err != nil {
		return 0, "", fmt.Errorf("reading its answer: %w", err)
	}
	return answer.StatusCode, string(b), nil
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, pair := range m.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}

// add takes over a service's page. What is no number is left out: a sum with it would be none, and JSON cannot write it.
func (m *metrics) add(families map[string]*dto.MetricFamily) {
	for name, family := range families {
		for _, of := range family.GetMetric() {
			s := sample{labels: labelsOf(of), buckets: map[float64]float64{}}
			s.value = of.GetCounter().GetValue() + of.GetGauge().GetValue() + of.GetUntyped().GetValue() + float64(of.GetHistogram().GetSampleCount())
			for _, b := range of.GetHistogram().GetBucket() {
				s.buckets[b.GetUpperBound()] = float64(b.GetCumulativeCount())
			}
			if !math.IsNaN(s.value) && !math.IsInf(s.value, 0) {
				m.samples[name] = append(m.samples[name], s)
			}
		}
	}
}

// sum adds a metric up over all services and labels but those that are given, as pairs. ok is false where none shows it.
func (m *metrics) sum(name string, pairs ...string) (sum float64, ok bool) {
	for _, n := range m.sums(name, "", pairs...) {
		sum, ok = sum+n, true
	}
	return sum, ok
}

// sums is sum for each value of a label.
func (m *metrics) sums(name, by string, pairs ...string) map[string]float64 {
	sums := map[string]float64{}
	for _, s := range m.samples[name] {
		if s.has(pairs) {
			sums[s.labels[by]] += s.value
		}
	}
	return sums
}

func (s *sample) has(pairs []string) bool {
	for pair := range slices.Chunk(pairs, 2) {
		if s.labels[pair[0]] != pair[1] {
			return false
		}
	}
	return true
}

// replicas counts the processes that show a stage.
func (m *metrics) replicas(stage string) (n int) {
	for _, s := range m.services {
		if slices.Contains(s.Stages, stage) {
			n++
		}
	}
	return n
}

// histogram is one that was added up over services and labels.
type histogram struct {
	bounds []float64 // upper ones, rising; the last one is infinite
	counts []float64 // of each bucket, not cumulative
}

// histograms adds a metric up over all services and labels but one; those samples that keep takes.
func (m *metrics) histograms(name, by string, keep func(labels map[string]string) bool) map[string]*histogram {
	cumulative := map[string]map[float64]float64{}
	for _, s := range m.samples[name] {
		if !keep(s.labels) {
			continue
		}
		of := s.labels[by]
		if cumulative[of] == nil {
			cumulative[of] = map[float64]float64{math.Inf(1): 0}
		}
		for bound, n := range s.buckets {
			cumulative[of][bound] += n
		}
	}
	all := map[string]*histogram{}
	for of, buckets := range cumulative {
		h, before := &histogram{bounds: slices.Sorted(maps.Keys(buckets))}, 0.0
		for _, bound := range h.bounds {
			h.counts = append(h.counts, max(buckets[bound]-before, 0))
			before = max(before, buckets[bound])
		}
		all[of] = h
	}
	return all
}

// since returns what came after an earlier look; all of it where a service has been started since.
func (h *histogram) since(earlier *histogram) *histogram {
	if earlier == nil || !slices.Equal(h.bounds, earlier.bounds) {
		return h
	}
	d := &histogram{bounds: h.bounds, counts: slices.Clone(h.counts)}
	for i, n := range earlier.counts {
		if d.counts[i] -= n; d.counts[i] < 0 {
			return h
		}
	}
	return d
}

func (h *histogram) count() (n float64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// quantile estimates, as Prometheus does: evenly within a bucket; beyond the last bound it is that one.
func (h *histogram) quantile(q float64) Seconds {
	rank, below, lower := q*h.count(), 0.0, 0.0
	for i, c := range h.counts {
		upper := h.bounds[i]
		if math.IsInf(upper, 1) {
			break
		}
		if below+c >= rank && c > 0 {
			return secondsOf(lower + (upper-lower)*(rank-below)/c)
		}
		below, lower = below+c, upper
	}
	return secondsOf(lower)
}

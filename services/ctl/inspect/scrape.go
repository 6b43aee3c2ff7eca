package inspect

import (
	"cmp"
	"context"
	"fmt"
	"io"
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

// scrape is what the services' admin ports have shown at a time.
type scrape struct {
	services []Service
	families []map[string]*dto.MetricFamily // of the services that answered
	unknown  []string
}

// scrapeAll asks all admin ports at once. One that does not answer is a service that is not ready.
func (i *Inspector) scrapeAll(ctx context.Context) *scrape {
	ctx, cancel := context.WithTimeout(ctx, 2*scrapeBound)
	defer cancel()
	s := &scrape{services: []Service{}}
	addresses := s.resolve(ctx, i.cfg.Admin)
	if len(i.cfg.Admin) == 0 {
		s.unknown = append(s.unknown, "the services' metrics: FRESHET_ADMIN_ADDRESSES does not say where their admin ports are")
	}
	type answer struct {
		service  Service
		families map[string]*dto.MetricFamily
	}
	answers := make([]answer, len(addresses))
	var asking sync.WaitGroup
	for n, address := range addresses {
		asking.Go(func() { answers[n].service, answers[n].families = i.ask(ctx, address) })
	}
	asking.Wait()
	for _, a := range answers {
		s.services = append(s.services, a.service)
		if a.families == nil {
			s.unknown = append(s.unknown, "the metrics of "+a.service.Address+": "+a.service.Says)
			continue
		}
		s.families = append(s.families, a.families)
	}
	return s
}

// resolve returns all addresses that names stand for, sorted, each once.
func (s *scrape) resolve(ctx context.Context, names []string) []string {
	var all []string
	for _, name := range names {
		host, port, err := net.SplitHostPort(strings.TrimSpace(name))
		if err != nil {
			s.unknown = append(s.unknown, fmt.Sprintf("the metrics of %s: it is no host:port", name))
			continue
		}
		found, err := net.DefaultResolver.LookupHost(ctx, cmp.Or(host, "localhost"))
		if err != nil {
			s.unknown = append(s.unknown, fmt.Sprintf("the metrics of %s: %v", name, err))
			continue
		}
		if host == "localhost" || host == "" { // both families' loopback are one process
			found = found[:1]
		}
		for _, address := range found {
			all = append(all, net.JoinHostPort(address, port))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ask returns what a service says of itself, and no families where it does not answer.
func (i *Inspector) ask(ctx context.Context, address string) (Service, map[string]*dto.MetricFamily) {
	ctx, cancel := context.WithTimeout(ctx, scrapeBound)
	defer cancel()
	s := Service{Address: address, Stages: []string{}}
	_, text, err := i.get(ctx, "http://"+address+"/metrics")
	if err != nil {
		s.Says = err.Error()
		return s, nil
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		s.Says = "its metrics cannot be read: " + err.Error()
		return s, nil
	}
	status, says, err := i.get(ctx, "http://"+address+"/readyz")
	if err != nil {
		says = err.Error()
	}
	s.Ready = err == nil && status == http.StatusOK
	if says = strings.TrimPrefix(strings.TrimSpace(says), "ok"); says != "" {
		s.Says = strings.TrimSpace(says)
	}
	one := scrape{families: []map[string]*dto.MetricFamily{families}}
	one.each(metricUnfinished, func(l labels, _ *dto.Metric) {
		if !slices.Contains(s.Stages, l["stage"]) {
			s.Stages = append(s.Stages, l["stage"])
		}
	})
	slices.Sort(s.Stages)
	return s, families
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

// labels are those of a sample.
type labels map[string]string

// each calls f for every sample of a metric, of all services.
func (s *scrape) each(name string, f func(l labels, m *dto.Metric)) {
	if s == nil {
		return
	}
	for _, families := range s.families {
		for _, m := range families[name].GetMetric() {
			l := labels{}
			for _, pair := range m.GetLabel() {
				l[pair.GetName()] = pair.GetValue()
			}
			f(l, m)
		}
	}
}

// sum adds a metric up over all services and labels but those that are given, as pairs; of a histogram, how often it was
// observed. ok is false where none shows it.
func (s *scrape) sum(name string, pairs ...string) (sum float64, ok bool) {
	for _, n := range s.sums(name, "", pairs...) {
		sum, ok = sum+n, true
	}
	return sum, ok
}

// sums is sum for each value of a label.
func (s *scrape) sums(name, by string, pairs ...string) map[string]float64 {
	sums := map[string]float64{}
	s.each(name, func(l labels, m *dto.Metric) {
		for pair := range slices.Chunk(pairs, 2) {
			if l[pair[0]] != pair[1] {
				return
			}
		}
		sums[l[by]] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() + float64(m.GetHistogram().GetSampleCount())
	})
	return sums
}

// histogram is one that was added up over services and labels.
type histogram struct {
	bounds []float64 // upper ones, rising; the last one is infinite
	counts []float64 // of each bucket, not cumulative
}

// histograms adds a metric up over all services and labels but one.
func (s *scrape) histograms(name, by string, keep func(labels) bool) map[string]*histogram {
	cumulative := map[string]map[float64]float64{}
	s.each(name, func(l labels, m *dto.Metric) {
		if !keep(l) {
			return
		}
		if cumulative[l[by]] == nil {
			cumulative[l[by]] = map[float64]float64{}
		}
		for _, b := range m.GetHistogram().GetBucket() {
			cumulative[l[by]][b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
		cumulative[l[by]][math.Inf(1)] += 0
		if buckets := m.GetHistogram().GetBucket(); len(buckets) == 0 || !math.IsInf(buckets[len(buckets)-1].GetUpperBound(), 1) {
			cumulative[l[by]][math.Inf(1)] += float64(m.GetHistogram().GetSampleCount())
		}
	})
	all := map[string]*histogram{}
	for label, buckets := range cumulative {
		h, before := &histogram{}, 0.0
		for bound := range buckets {
			h.bounds = append(h.bounds, bound)
		}
		slices.Sort(h.bounds)
		for _, bound := range h.bounds {
			h.counts = append(h.counts, max(buckets[bound]-before, 0))
			before = max(before, buckets[bound])
		}
		all[label] = h
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
		if below+c >= rank && c > 0 {
			if math.IsInf(upper, 1) {
				return spanOf(lower)
			}
			return spanOf(lower + (upper-lower)*(rank-below)/c)
		}
		below += c
		if !math.IsInf(upper, 1) {
			lower = upper
		}
	}
	return spanOf(lower)
}

func spanOf(s float64) Seconds { return Seconds(s * float64(time.Second)) }

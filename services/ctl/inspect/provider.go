package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// roleFirst is the endpoint label of the provider's first server.
	roleFirst = "first"
	// failingLong is for how long a server has answered nothing, before that is trouble: the next try may be answered.
	failingLong = 5 * time.Second
)

// States of a gate.
const (
	gateOpen    = "open"
	gateLimited = "limited"
	gateShut    = "shut"
	gateRefused = "refused"
)

// provider returns how the provider is reached, nil where no service shows it.
func (w window) provider() *Provider {
	if _, ok := w.now.sum(metricRequests); !ok {
		return nil
	}
	rate := func(name string) float64 { perSecond, _ := w.rate(name); return perSecond }
	count := func(name string) int64 { n, _ := w.now.sum(name); return int64(n) }
	p := &Provider{
		Endpoints: []Endpoint{}, Requests: rate(metricRequests), Tokens: rate(metricTokens), Saved: rate(metricSavedTokens),
		Waiting: count(metricGateWaiting), BudgetWaiting: count(metricBudgetWaiting), unpaid: w.now.sums(metricBudgetWaiting, "pipeline"),
	}
	for role := range w.now.sums(metricRefused, "endpoint") {
		p.Endpoints = append(p.Endpoints, w.endpoint(role))
	}
	slices.SortFunc(p.Endpoints, func(a, b Endpoint) int { return cmp.Compare(b.Role, a.Role) }) // first before backup
	return p
}

// endpoint returns how a server of the provider is.
func (w window) endpoint(role string) Endpoint {
	most := func(name string) (most float64) {
		for _, s := range w.now.samples[name] {
			if s.labels["endpoint"] == role {
				most = max(most, s.value)
			}
		}
		return most
	}
	keys, limits := w.now.sums(metricRefused, "key", "endpoint", role), w.now.sums(metricLimit, "unit", "endpoint", role)
	refused, _ := w.now.sum(metricRefused, "endpoint", role)
	waiting, _ := w.now.sum(metricGateWaiting, "endpoint", role)
	waited, _ := w.rate(metricGateWaited, "endpoint", role)
	e := Endpoint{
		Role: role, Gate: gateOpen, Shut: secondsOf(most(metricShut)), Keys: len(keys), Refused: int(refused), // each replica has all keys
		Requests: limits["requests"], Tokens: limits["tokens"], Failing: secondsOf(most(metricFailing)),
	}
	switch {
	case e.Keys > 0 && e.Refused >= e.Keys*max(w.now.replicas(stageEmbed), 1):
		e.Gate = gateRefused
	case e.Shut > 0:
		e.Gate = gateShut
	case waiting > 0, waited > 0.1:
		e.Gate = gateLimited
	}
	if _, ok := w.now.sum(metricBreaker, "endpoint", role); ok {
		e.Breaker = [...]string{"closed", "open", "half-open"}[int(min(max(most(metricBreaker), 0), 2))]
	}
	good := 0.0
	before := w.earlier.sums(metricOperations, "status", "endpoint", role)
	for status, n := range w.now.sums(metricOperations, "status", "endpoint", role) {
		switch more := max(n-before[status], 0) / w.seconds(); {
		case strings.HasPrefix(status, "2"):
			good += more
		case status == "408", !strings.HasPrefix(status, "4"): // a text or a key that is refused is an answer, and of 429 the gate tells more
			e.Failed += more
		}
	}
	e.answers = good > 0
	e.away = !e.answers && e.Failing > Seconds(failingLong) || e.Breaker == "open"
	return e
}

// trouble says what keeps texts from being embedded. A pipeline's own budget that is spent holds up no other's texts: concerns
// reports whether one matters.
func (p *Provider) trouble(concerns func(pipeline string) bool) (all []Cause) {
	if p == nil {
		return nil
	}
	for _, e := range p.Endpoints {
		if e.Role != roleFirst && e.Keys > 0 && e.Gate != gateOpen {
			continue // the first one matters, the backup is asked where that is away
		}
		switch e.Gate {
		case gateRefused:
			all = append(all, because(CauseKeyRefused, fmt.Sprintf("%d of %d keys are put aside", e.Refused, e.Keys)))
		case gateShut, gateLimited:
			all = append(all, because(CauseThrottled, e.throttled(p.Waiting)))
		}
		if e.away {
			all = append(all, p.awayCause(&e))
		}
	}
	waiting := 0.0
	for pipeline, n := range p.unpaid {
		if pipeline == "" || concerns(pipeline) { // the budget of all has no name
			waiting += n
		}
	}
	if waiting > 0 {
		all = append(all, because(CauseBudget, fmt.Sprintf("%.0f wait for the next day (UTC)", waiting)))
	}
	return all
}

// awayCause says that an endpoint is away, and whether the other one answers.
func (p *Provider) awayCause(e *Endpoint) Cause {
	detail := fmt.Sprintf("the %s server: %.1f failed requests a second", e.Role, e.Failed)
	if e.Failing > 0 {
		detail += fmt.Sprintf(", and none has succeeded for %s", e.Failing)
	}
	c := because(CauseProviderAway, detail)
	if slices.ContainsFunc(p.Endpoints, func(other Endpoint) bool { return other.Role != e.Role && other.answers }) {
		return c.summary("the %s server of the embeddings provider fails, and the other one answers", e.Role)
	}
	return c
}

func everyPipeline(string) bool { return true }

func noPipeline(string) bool { return false }

func (e *Endpoint) throttled(waiting int64) string {
	detail := fmt.Sprintf("%d requests wait for its rate limit", waiting)
	if e.Gate == gateShut {
		detail = fmt.Sprintf("it answered 429; the gate opens again in %s", e.Shut)
	}
	if e.Requests > 0 {
		detail += fmt.Sprintf("; %.0f requests a minute pass", e.Requests)
	}
	if e.Tokens > 0 {
		detail += fmt.Sprintf("; %.0f tokens a minute pass", e.Tokens)
	}
	return detail
}

// registry returns for how long the schema registry has answered nothing, 0 where it answers or nobody needs it.
func (l *look) registry() Seconds {
	longest := 0.0
	for _, s := range l.samples[metricRegistry] {
		longest = max(longest, s.value)
	}
	return secondsOf(longest)
}

func registryTrouble(failing Seconds) []Cause {
	if time.Duration(failing) < failingLong {
		return nil
	}
	return []Cause{because(CauseRegistryAway, fmt.Sprintf("no request has been answered for %s", failing))}
}

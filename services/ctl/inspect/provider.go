package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// providerOf returns how the provider is reached, nil where no service shows it.
func providerOf(earlier, now *look) *Provider {
	if _, ok := now.scraped.sum(metricRequests); !ok {
		return nil
	}
	seconds := now.at.Sub(earlier.at).Seconds()
	rate := func(metric string) float64 {
		then, _ := earlier.scraped.sum(metric)
		sum, _ := now.scraped.sum(metric)
		return max(sum-then, 0) / seconds
	}
	p := &Provider{Endpoints: []Endpoint{}, Requests: rate(metricRequests), Tokens: rate(metricTokens), Saved: rate(metricSavedTokens)}
	waiting, _ := now.scraped.sum(metricGateWaiting)
	budget, _ := now.scraped.sum(metricBudgetWaiting)
	p.Waiting, p.BudgetWaiting = int64(waiting), int64(budget)
	byRole := now.scraped.endpoints()
	waitingBy, waitedBy, waitedThen := now.scraped.sums(metricGateWaiting, "endpoint"), now.scraped.sums(metricGateWaited, "endpoint"), earlier.scraped.sums(metricGateWaited, "endpoint")
	for role, e := range byRole {
		switch {
		case e.Keys > 0 && e.Refused >= e.Keys*max(now.replicas(stageEmbed), 1):
			e.Gate = gateRefused
		case e.Shut > 0:
			e.Gate = gateShut
		case waitingBy[role] > 0, waitedBy[role]-waitedThen[role] > 0.1*seconds:
			e.Gate = gateLimited
		}
		good, failed := now.scraped.asked(role)
		goodThen, failedThen := earlier.scraped.asked(role)
		e.Failed = max(failed-failedThen, 0) / seconds
		e.away = e.Failed > 0 && good == goodThen
		p.Endpoints = append(p.Endpoints, *e)
	}
	slices.SortFunc(p.Endpoints, func(a, b Endpoint) int { return -cmp.Compare(a.Role, b.Role) }) // first before backup
	return p
}

// asked counts the requests that a server of the provider has answered well, and those that failed.
func (s *scrape) asked(role string) (good, failed float64) {
	for status, n := range s.sums(metricOperations, "status", "endpoint", role) {
		switch {
		case strings.HasPrefix(status, "2"):
			good += n
		case status != "429": // which the gate tells more of
			failed += n
		}
	}
	return good, failed
}

// endpoints returns what gates and breakers show, by role.
func (s *scrape) endpoints() map[string]*Endpoint {
	byRole := map[string]*Endpoint{}
	each := func(metric string, f func(e *Endpoint, l labels, value float64)) {
		s.each(metric, func(l labels, m *dto.Metric) {
			role := l["endpoint"]
			if byRole[role] == nil {
				byRole[role] = &Endpoint{Role: role, Gate: gateOpen}
			}
			f(byRole[role], l, m.GetGauge().GetValue())
		})
	}
	keys := map[string]bool{}
	each(metricRefused, func(e *Endpoint, l labels, refused float64) {
		e.Refused += int(refused)
		if key := l["endpoint"] + "/" + l["key"]; !keys[key] { // each replica has all keys
			keys[key] = true
			e.Keys++
		}
	})
	each(metricShut, func(e *Endpoint, _ labels, shut float64) { e.Shut = max(e.Shut, spanOf(shut)) })
	each(metricLimit, func(e *Endpoint, l labels, limit float64) {
		if l["unit"] == "tokens" {
			e.Tokens += limit
		} else {
			e.Requests += limit
		}
	})
	each(metricBreaker, func(e *Endpoint, _ labels, state float64) {
		states := [...]string{"closed", "open", "half-open"}
		if n := int(state); n >= 0 && n < len(states) && (e.Breaker == "" || n > 0) {
			e.Breaker = states[n]
		}
	})
	return byRole
}

// trouble says what keeps texts from being embedded.
func (p *Provider) trouble() []Cause {
	if p == nil {
		return nil
	}
	var all []Cause
	for _, e := range p.Endpoints {
		if e.Role != roleFirst && e.Keys > 0 && e.Gate != gateOpen {
			continue // the first one matters, the backup is asked where that is away
		}
		switch e.Gate {
		case gateRefused:
			all = append(all, Cause{Code: CauseKeyRefused, Summary: "the embeddings provider refuses the key", Detail: fmt.Sprintf("%d of %d keys are put aside", e.Refused, e.Keys), Do: "put a good key into the file of FRESHET_OPENAI_KEY_FILE: it is read again by itself"})
		case gateShut, gateLimited:
			all = append(all, e.throttled(p.Waiting))
		}
		if e.away || e.Breaker == "open" {
			all = append(all, Cause{
				Code: CauseProviderAway, Summary: "the embeddings provider fails: no request succeeds", Detail: fmt.Sprintf("the %s server: %.1f failed requests a second", e.Role, e.Failed),
				Do: "look whether it is up (freshet bench-provider asks it as embed does), and into the log of embed: embed goes on by itself",
			})
		}
	}
	if p.BudgetWaiting > 0 {
		all = append(all, Cause{Code: CauseBudget, Summary: "the embedding budget of the day is spent", Detail: fmt.Sprintf("%d wait for the next day (UTC)", p.BudgetWaiting), Do: "wait, or raise FRESHET_EMBED_BUDGET_PER_DAY or the pipeline's budgetPerDay, and restart embed"})
	}
	return all
}

func (e Endpoint) throttled(waiting int64) Cause {
	c := Cause{
		Code: CauseThrottled, Summary: "the embeddings provider throttles: it lets through less than there is",
		Do: "ask the provider for a higher limit, add a key to FRESHET_OPENAI_KEY_FILE, or wait",
	}
	if e.Gate == gateShut {
		c.Detail = fmt.Sprintf("it answered 429; the gate opens again in %s", e.Shut)
	} else {
		c.Detail = fmt.Sprintf("%d requests wait for its rate limit", waiting)
	}
	if e.Requests > 0 {
		c.Detail += fmt.Sprintf("; %.0f requests a minute pass", e.Requests)
	}
	if e.Tokens > 0 {
		c.Detail += fmt.Sprintf("; %.0f tokens a minute pass", e.Tokens)
	}
	return c
}

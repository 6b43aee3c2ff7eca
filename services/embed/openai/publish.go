package openai

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/freshet-io/freshet/libs/telemetry"
)

type observe func(value float64, labels ...string)

// Publish shows the gates of the endpoint's keys, by number from 1 and never by key.
func (c *Client) Publish(m *telemetry.Metrics) error { return publish(m, c) }

// Publish shows the gates of both endpoints, and their breakers.
func (p *Pair) Publish(m *telemetry.Metrics) error {
	return errors.Join(publish(m, p.first.Client, p.backup.Client), m.Gauge(telemetry.ProviderBreaker, func(o func(float64, ...string)) {
		for _, g := range []*guarded{p.first, p.backup} {
			o(float64(g.breaker.State()), "endpoint", g.role)
		}
	}))
}

func publish(m *telemetry.Metrics, clients ...*Client) error {
	for _, c := range clients {
		c.line.asked = func(ctx context.Context, status string, took time.Duration) {
			m.Asked(ctx, c.role, status, took)
			c.line.mu.Lock()
			defer c.line.mu.Unlock()
			if !errors.Is(ctx.Err(), context.Canceled) { // by us
				c.line.failing.see(status, time.Now())
			}
		}
	}
	var errs []error
	for name, read := range map[telemetry.Metric]func(l *line, role string, o observe){
		telemetry.ProviderLimit:   (*line).showLimits,
		telemetry.ProviderShut:    (*line).showShut,
		telemetry.ProviderRefused: (*line).showRefused,
		telemetry.ProviderWaiting: (*line).showWaiting,
		telemetry.ProviderWaited:  (*line).showWaited,
		telemetry.ProviderFailing: (*line).showFailing,
	} {
		errs = append(errs, m.Gauge(name, func(o func(float64, ...string)) {
			for _, c := range clients {
				c.line.mu.Lock()
				read(c.line, c.role, o)
				c.line.mu.Unlock()
			}
		}))
	}
	return errors.Join(errs...)
}

var lanes = [2]string{"live", "bulk"}

func (l *line) showLimits(role string, o observe) {
	for i, g := range l.gates {
		for _, b := range []*bucket{&g.requests, &g.tokens} {
			if b.limiter != nil {
				o(float64(b.limiter.Limit())*60, "endpoint", role, "key", strconv.Itoa(i+1), "unit", b.unit)
			}
		}
	}
}

func (l *line) showShut(role string, o observe) {
	for i, g := range l.gates {
		o(max(time.Until(g.opens), 0).Seconds(), "endpoint", role, "key", strconv.Itoa(i+1))
	}
}

func (l *line) showRefused(role string, o observe) {
	for i, g := range l.gates {
		refused := 0.0
		if !g.aside.IsZero() {
			refused = 1
		}
		o(refused, "endpoint", role, "key", strconv.Itoa(i+1))
	}
}

func (l *line) showWaiting(role string, o observe) {
	var waiting [2]float64
	for _, t := range l.waiting {
		waiting[laneOf(t)]++
	}
	for lane, n := range waiting {
		o(n, "endpoint", role, "lane", lanes[lane])
	}
}

func (l *line) showWaited(role string, o observe) {
	for lane, waited := range l.waited {
		o(waited.Seconds(), "endpoint", role, "lane", lanes[lane])
	}
}

package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// alertBound is within what an alert must fire that the rules, as they are, fire after some minutes. It only bounds a failure.
const alertBound = 6 * time.Minute

// monitored is a catalogue under load, and a Prometheus that scrapes the services and has the chart's rules.
type monitored struct {
	*rig

	prometheus prometheus
	provider   *provider
	sent       int
}

// TestMonitoring has a real Prometheus scrape the real services: each panel of the dashboards has data, the counts are those of
// the topics, and a stalled write pages. The rules' times are sixty times shorter, and the age of FreshetStalled ten times, unless
// FRESHET_TEST_ALERTS is real.
func TestMonitoring(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	p := startProvider(t)
	m := &monitored{provider: p, rig: newRig(t, options{
		brokers: startKfake(t), pipeline: paidPipeline, partitions: 3, sourcePartitions: 3,
		environ: append(p.environ("embed"), "FRESHET_OPENAI_BACKUP_URL="+p.url+"/backup", "FRESHET_OPENAI_REQUESTS_PER_MINUTE=6000",
			"FRESHET_OPENAI_MAX_BACKOFF=1s", "FRESHET_EMBED_PRICE_PER_MILLION=0.1", "FRESHET_EMBED_BUDGET_PER_DAY=1000",
			"FRESHET_EMBED_MAX_BYTES=4000", "FRESHET_WRITE_SEARCHABLE_SAMPLE=1"),
	})}
	m.startAll()
	var targets []string
	for _, s := range services {
		targets = append(targets, m.running[s].log.adminAddress())
	}
	m.prometheus = startPrometheus(t, targets, rules(t))
	ports.add(m.prometheus.Address(0))

	for _, part := range []struct {
		name string
		run  func(*monitored)
	}{
		{"what was counted is what the topics hold", (*monitored).counts},
		{"promtool finds no fault with the metrics", (*monitored).metrics},
		{"each panel of the dashboards has data", (*monitored).panels},
		{"a write that hangs pages", (*monitored).writeHangs},
		{"an index that does not answer pages", (*monitored).indexHangs},
	} {
		t.Run(part.name, func(t *testing.T) {
			all := m.rig
			defer func() { m.rig = all }()
			m.rig = all.as(t)
			part.run(m)
		})
	}
}

// rules returns the chart's rules, with shorter times unless they are to be real.
func rules(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(workspace(t), "charts/freshet/rules/freshet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules := string(text)
	if os.Getenv("FRESHET_TEST_ALERTS") != "real" {
		rules = strings.ReplaceAll(rules, "interval: 30s", "interval: 1s")
		rules = regexp.MustCompile(`for: (\d+)m\b`).ReplaceAllString(rules, "for: ${1}s")
		rules = strings.ReplaceAll(rules, `lane="live"}) > 60`, `lane="live"}) > 6`)
	}
	return rules
}

// change sends a change by chance: mostly of a price, sometimes of a text, seldom one that cannot be used.
func (m *monitored) change(dice *rand.Rand) {
	m.sent++
	id := int64(dice.IntN(200))
	row := product{ID: id, Name: fmt.Sprint("lamp ", id), Description: "warm light", Price: float64(m.sent), Seq: m.sent}
	record := m.envelope("u", nil, &row)
	switch n := dice.IntN(50); {
	case n == 0:
		record.Value = []byte(`{"op": `)
	case n == 1:
		row.Description = strings.Repeat("long ", 1000)
		record = m.envelope("u", nil, &row)
	case n < 15:
		row.Description = fmt.Sprint("warm light ", m.sent)
		record = m.envelope("u", nil, &row)
	case n == 15:
		record = m.envelope("d", &row, nil)
	}
	m.client.Produce(m.t.Context(), record, nil)
}

// load sends changes until stop.
func (m *monitored) load() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		dice := rand.New(rand.NewPCG(1, uint64(m.sent))) //nolint:gosec // a test's chance
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			m.change(dice)
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		if err := m.client.Flush(m.t.Context()); err != nil {
			m.t.Error(err)
		}
	}
}

// counts sends changes, with the provider away in their midst and nobody killed, and compares each stage's ledger with its topic:
// in = written + reused + superseded + deleted + skipped + … + dead-lettered.
func (m *monitored) counts() {
	m.t.Helper()
	dice := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // a test's chance
	for n := range 1500 {
		m.change(dice)
		if n == 700 {
			m.provider.away.Store(true)
		}
	}
	await(m.t, time.Minute, "texts wait for the provider", func() (bool, error) {
		return m.running["embed"].outcomes(`outcome="pending"`) > 0, m.running["embed"].failure()
	})
	m.provider.away.Store(false)
	m.settle(2 * time.Minute)
	for _, s := range services {
		ends, err := m.ends(m.t.Context(), s)
		if err != nil {
			m.t.Fatal(err)
		}
		records := 0
		ends.Each(func(o kadm.ListedOffset) { records += int(o.Offset) })
		p, stage := m.running[s], fmt.Sprintf(`stage=%q`, s)
		all, given, waiting := p.outcomes(stage), p.outcomes(stage, `outcome="given-up"`), p.outcomes(stage, `outcome="pending"`)
		_, page := p.get("/metrics")
		if begun := fmt.Sprintf("\nfreshet_stage_inputs_total{stage=%q} %d\n", s, all); !strings.Contains(page, begun) {
			m.t.Errorf("%s: %d outcomes, and no line %s", s, all, begun)
		}
		// What waits for its vector has an outcome more, each time that it was tried.
		if final := all - given - waiting; final != records {
			m.t.Errorf("%s: %d records, and %d final outcomes; %d given up, %d without their vectors yet", s, records, final, given, waiting)
		}
	}
	if n, letters := m.running["ingest"].outcomes(`outcome="deadlettered"`)+m.running["embed"].outcomes(`outcome="deadlettered"`), len(m.letters()); n != letters || n == 0 {
		m.t.Errorf("%d dead letters were counted, and the topic has %d", n, letters)
	}
}

// ownMetrics are the lines of a page that are of Freshet: the names of others are not ours to choose.
var ownMetrics = regexp.MustCompile(`(?m)^(# (HELP|TYPE) )?(freshet|gen_ai)_.*\n`)

func (m *monitored) metrics() {
	for _, s := range services {
		_, page := m.running[s].get("/metrics")
		own := strings.Join(ownMetrics.FindAllString(page, -1), "")
		if own == "" {
			m.t.Fatalf("%s shows no metrics", s)
		}
		localtest.Promtool(m.t, own, "check", "metrics")
	}
}

func (m *monitored) panels() {
	m.t.Helper()
	defer m.load()()
	files, err := filepath.Glob(filepath.Join(workspace(m.t), "charts/freshet/dashboards/*.json"))
	if err != nil || len(files) == 0 {
		m.t.Fatalf("no dashboards: %v", err)
	}
	left := map[string]string{} // where it is, by query
	for _, file := range files {
		var page struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &page)
		}
		if err != nil || len(page.Panels) == 0 {
			m.t.Fatalf("%s: %d panels, %v", file, len(page.Panels), err)
		}
		for _, panel := range page.Panels {
			for _, target := range panel.Targets {
				left[target.Expr] = filepath.Base(file) + ": " + panel.Title
			}
		}
	}
	m.t.Logf("%d queries in %d dashboards", len(left), len(files))
	defer func() {
		for expr, where := range left {
			m.t.Logf("no data in %s: %s", where, expr)
		}
	}()
	await(m.t, 3*time.Minute, "each panel has data", func() (bool, error) {
		for expr := range left {
			has, err := m.prometheus.has(m.t.Context(), expr)
			if err != nil {
				return false, err
			}
			if has {
				delete(left, expr)
			}
		}
		return len(left) == 0, m.running["write"].failure()
	})
}

// pages has something stall under load until an alert of one of the stages fires, as a page, and then heals it. stages is a
// regular expression.
func (m *monitored) pages(alert, stages string, stall, heal func() error) {
	m.t.Helper()
	m.quiet()
	stop := m.load()
	defer func() {
		stop()
		if err := heal(); err != nil {
			m.t.Fatal(err)
		}
		m.quiet()
	}()
	if err := stall(); err != nil {
		m.t.Fatal(err)
	}
	began := time.Now()
	await(m.t, alertBound, alert+" fires", func() (bool, error) { return m.fires(alert, stages) })
	m.t.Logf("%s of %s fired after %s", alert, stages, time.Since(began).Round(time.Second))
}

func (m *monitored) fires(alert, stages string) (bool, error) {
	return m.prometheus.has(m.t.Context(), fmt.Sprintf(`ALERTS{alertname=%q,stage=~%q,severity="page",alertstate="firing"}`, alert, stages))
}

// quiet waits until nothing is unfinished or in doubt, which is worked on once more and is old then, and none of the alerts about
// stalls fires or is about to.
func (m *monitored) quiet() {
	m.t.Helper()
	m.settle(alertBound)
	for _, fine := range []string{
		`max(freshet_stage_oldest_unfinished_age_seconds{lane="live"}) < 1`,
		`absent(ALERTS{alertname=~"FreshetStageGone|FreshetStalled"})`,
	} {
		await(m.t, alertBound, fine, func() (bool, error) {
			return m.prometheus.has(m.t.Context(), fine)
		})
	}
}

func (m *monitored) writeHangs() {
	m.t.Helper()
	m.pages("FreshetStageGone", "write", m.running["write"].pause, m.running["write"].resume)
}

func (m *monitored) indexHangs() {
	m.t.Helper()
	signal := func(s syscall.Signal) func() error {
		return func() error { return syscall.Kill(m.server.PID(), s) }
	}
	// embed asks the index for vectors, so that what write has not read yet stays there.
	m.pages("FreshetStalled", "embed|write", signal(syscall.SIGSTOP), signal(syscall.SIGCONT))
}

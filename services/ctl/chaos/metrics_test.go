package chaos

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"

	"github.com/freshet-io/freshet/libs/telemetry"
)

// invMetrics: the metrics of all processes of a seed say what the logs say.
const invMetrics = "metrics"

// counted is what the processes of a seed have counted, killed ones too, by stage.
type counted struct {
	inputs   map[string]int
	outcomes map[string]map[string]int
	letters  map[string]int
}

var series = regexp.MustCompile(`^(freshet_stage_inputs_total|freshet_items_total|freshet_deadletters_total)\{(?:(?:outcome|reason)="([^"]*)",)?stage="([^"]*)"\} (\S+)$`)

func read(tel *telemetry.Telemetry) counted {
	page := httptest.NewRecorder()
	tel.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	c := counted{inputs: map[string]int{}, outcomes: map[string]map[string]int{}, letters: map[string]int{}}
	for line := range strings.Lines(page.Body.String()) {
		m := series.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		value, _ := strconv.ParseFloat(m[4], 64)
		switch name, label, stage, n := m[1], m[2], m[3], int(value); name {
		case "freshet_stage_inputs_total":
			c.inputs[stage] += n
		case "freshet_deadletters_total":
			c.letters[stage] += n
		default:
			if c.outcomes[stage] == nil {
				c.outcomes[stage] = map[string]int{}
			}
			c.outcomes[stage][label] += n
		}
	}
	return c
}

// audit holds what was counted against the topics, when all processes have ended. What a stage began with has had exactly one
// outcome: in = written + reused + superseded + deleted + skipped + … + dead-lettered, and given up where the process or the
// partition went before. Every record of its topics has had one that is final, and more only where it was done again. A dead
// letter is counted once it is acknowledged, so that the last ones of a process that is killed may not be.
func (w *world) audit(e evidence) {
	c := read(w.telemetry)
	records, letters, buried := map[string]int{}, map[string]int{}, map[string]map[place]bool{}
	for _, change := range e.changes {
		if change.sent {
			records["ingest"]++
		}
	}
	for _, l := range e.records {
		switch l.topic {
		case e.topics.documentsLive:
			records["embed"]++
		case e.topics.documentsBulk:
			records["embed-bulk"]++
		case e.topics.letters:
			stage := l.letter["freshet-dlq-stage"]
			letters[stage]++
			if buried[stage] == nil {
				buried[stage] = map[place]bool{}
			}
			buried[stage][inputOf(l)] = true
		default:
			records["write"]++
		}
	}
	for stage, in := range c.inputs {
		out, final := 0, 0
		for label, n := range c.outcomes[stage] {
			if out += n; label != telemetry.GivenUp && label != "pending" {
				final += n
			}
		}
		if in != out {
			w.report(invMetrics, "%s has begun with %d inputs, and they had %d outcomes: %v", stage, in, out, c.outcomes[stage])
		}
		if final < records[stage] {
			w.report(invMetrics, "%s has %d records to read, and counted %d outcomes: %v", stage, records[stage], final, c.outcomes[stage])
		}
		if n := c.letters[stage]; n != c.outcomes[stage]["deadlettered"] || n < len(buried[stage]) || n > letters[stage] {
			w.report(invMetrics, "%s has counted %d letters and %d outcomes of that kind; %d letters of %d records are in the topic", stage, n, c.outcomes[stage]["deadlettered"], letters[stage], len(buried[stage]))
		}
	}
}

package plan

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/freshet-io/freshet/libs/pipeline"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

// Summary counts what became of events, and tells what as many a second would mean.
type Summary struct {
	Events, Documents, Deletes, Partial, Skips, Rejects int

	Why     map[string]int // skips and rejects, by outcome and reason
	Formats map[pipeline.Format]int

	Tokens   int64 // of all texts
	Oversize int   // texts that are longer than the model takes
	Again    int   // texts of items that the sample has had before
	Same     int   // those of them that did not change

	measure func(text string) (tokens int, oversize bool)
	texts   map[string]string // the last one, by item
}

// NewSummary returns an empty summary. measure is embedder.Config.Measure's.
func NewSummary(measure func(text string) (tokens int, oversize bool)) *Summary {
	return &Summary{Why: map[string]int{}, Formats: map[pipeline.Format]int{}, measure: measure, texts: map[string]string{}}
}

// Add counts what became of one event.
func (s *Summary) Add(lines []Line) {
	s.Events++
	s.Formats[lines[0].Format]++
	for _, line := range lines {
		switch line.Outcome {
		case Document:
			s.Documents++
			s.text(line)
		case Delete:
			s.Deletes++
		case Partial:
			s.Partial++
		case Skip:
			s.Skips++
			s.Why[Skip+" "+line.Reason]++
		case Reject:
			s.Rejects++
			s.Why[Reject+" "+line.Reason]++
		}
	}
}

func (s *Summary) text(line Line) {
	if line.Text == "" {
		return
	}
	tokens, oversize := s.measure(line.Text)
	s.Tokens += int64(tokens)
	if oversize {
		s.Oversize++
	}
	item := line.Collection + "\x00" + line.Tenant + "\x00" + line.ID
	if before, found := s.texts[item]; found {
		s.Again++
		if before == line.Text {
			s.Same++
		}
	}
	s.texts[item] = line.Text
}

// Items returns how many items have a text.
func (s *Summary) Items() int { return len(s.texts) }

// paid returns the estimated share of texts that are embedded anew, 1 where the sample
// changes no item twice.
func (s *Summary) paid() float64 {
	if s.Again == 0 {
		return 1
	}
	return 1 - float64(s.Same)/float64(s.Again)
}

func (s *Summary) average() float64 {
	if s.Documents == 0 {
		return 0
	}
	return float64(s.Tokens) / float64(s.Documents)
}

// Load is what is asked of a pipeline.
type Load struct {
	Rate      float64       // events a second
	Freshness time.Duration // from the change to the search, of 95 in 100
	Request   time.Duration // that the provider takes for a request
	InFlight  int           // requests at a time of one embed
	Batch     int           // most texts in a request
	Price     float64       // of a million tokens
	Priced    bool          // whether Price is known
	Currency  string
}

// Needs is what a load takes.
type Needs struct {
	Texts      float64 // a second to the provider
	Tokens     float64 // a day
	Money      float64 // a day
	Partitions int     // 0 where the freshness is out of reach
	Replicas   int     // of embed; one of ingest and of write take as much
}

const (
	partitionBatch = 100 // items that embed and write take of a partition at once
	spare          = 2   // as much again as is needed, for peaks and one member away
	writeBatch     = 200 * time.Millisecond
	secondsADay    = 24 * 60 * 60
)

// Needs estimates by the mean: a partition finishes up to 100 items in the time of a request
// and a write; a change waits for the round before it and for its own. One embed has
// InFlight requests under way. Both are doubled.
func (s *Summary) Needs(l Load) Needs {
	perEvent := float64(s.Documents) / float64(max(s.Events, 1))
	items := l.Rate * perEvent
	n := Needs{Texts: items * s.paid()}
	n.Tokens = n.Texts * s.average() * secondsADay
	n.Money = n.Tokens * l.Price / 1e6
	round := l.Request + writeBatch
	if l.Freshness >= 2*round {
		n.Partitions = atLeastOne(spare * items * round.Seconds() / partitionBatch)
	}
	// What comes in while a request is made goes into the next one.
	perRequest := min(max(n.Texts*l.Request.Seconds()/float64(l.InFlight), 1), float64(l.Batch))
	n.Replicas = atLeastOne(spare * n.Texts * l.Request.Seconds() / (perRequest * float64(l.InFlight)))
	return n
}

func atLeastOne(n float64) int { return int(max(math.Ceil(n), 1)) }

// defaultPartitions is what `freshet topics apply` makes unless told otherwise.
const defaultPartitions = 24

// String returns the summary for people.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s, %d partial, %d skipped, %d rejected\n", Count(s.Events, "event"), Count(s.Documents, "document"), Count(s.Deletes, "delete"), s.Partial, s.Skips, s.Rejects)
	for _, why := range slices.Sorted(maps.Keys(s.Why)) {
		fmt.Fprintf(&b, "  %s: %d\n", why, s.Why[why])
	}
	for _, format := range slices.Sorted(maps.Keys(s.Formats)) {
		fmt.Fprintf(&b, "  looks like %s: %d\n", cmp.Or(string(format), "nothing (null, or not readable)"), s.Formats[format])
	}
	fmt.Fprintf(&b, "%s of %s; %s, %.0f a text; %d longer than the model takes\n", Count(s.Again+s.Items(), "text"), Count(s.Items(), "item"), Count(int(s.Tokens), "token"), s.average(), s.Oversize)
	if s.Again > 0 {
		fmt.Fprintf(&b, "%d of %d further changes of an item left its text as it was: about %.0f %% need no embedding\n", s.Same, s.Again, 100*(1-s.paid()))
	} else {
		b.WriteString("no item has two changes here, so that all are taken to need an embedding\n")
	}
	return b.String()
}

// Describe returns for people what a load would take.
func (s *Summary) Describe(l Load) string {
	if s.Documents == 0 {
		return "nothing became a document: there is nothing to estimate a load by\n" + s.advice()
	}
	n := s.Needs(l)
	var b strings.Builder
	fmt.Fprintf(&b, "at %g events a second: %.1f texts a second to the provider, %.1f million tokens a day", l.Rate, n.Texts, n.Tokens/1e6)
	if l.Priced {
		fmt.Fprintf(&b, ", %.2f %s a day", n.Money, l.Currency)
	} else {
		b.WriteString(" (--price says what a million costs)")
	}
	if n.Partitions == 0 {
		fmt.Fprintf(&b, "\n%s is out of reach: a change waits for up to two requests of %s and their writes, %s in all\n", l.Freshness, l.Request, 2*(l.Request+writeBatch))
		return b.String()
	}
	fmt.Fprintf(&b, "\nfor %s until it is found: %s would do, make %d, their number is final; %d of embed, 1 of ingest and of write\n",
		l.Freshness, Count(n.Partitions, "partition"), max(n.Partitions, defaultPartitions), n.Replicas)
	return b.String()
}

// advice says what to look at where all is skipped because no pipeline asks for it.
func (s *Summary) advice() string {
	if s.Why[Skip+" "+ingester.LabelUnmatched] == 0 {
		return ""
	}
	return "no pipeline asks for what is unmatched: its source.topics, or its match, must name it (--topic is for events that do not say theirs)\n"
}

// Count writes a number of things.
func Count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}

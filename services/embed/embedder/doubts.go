package embedder

import (
	"net/http"
	"sync"

	"github.com/freshet-io/freshet/libs/fault"
)

const (
	// exhaustedAfter is how often a text must fail alone, with another one passing in
	// between each time.
	exhaustedAfter = 5
	// neighbours is how many other texts must pass meanwhile.
	neighbours = 20
	// healthy is how many requests without the text must pass for each that fails: where a
	// provider fails at random, no text is to blame.
	healthy = 4
	// mostDoubts bounds the memory of an outage in which everything fails.
	mostDoubts = 10_000
)

// doubts finds the text that makes the provider fail each time, by a server error or
// by silence, while it serves all others. Such a text would hold its partition for ever:
// the fault is transient, and a transient one is tried again without end.
type doubts struct {
	mu     sync.Mutex
	passed int // requests
	failed int // requests
	texts  int // that passed
	about  map[string]*doubt
}

// doubt is what is held against one text. The counts are those of before its first failure.
type doubt struct {
	passed, failed, texts int
	own                   int // failed requests that it was in
	alone                 int // those of them that count: it was the only text
	seen                  int // passed requests at its last failure
}

// dubious reports whether an error may be a text's fault. A provider that asks for time
// is not failing.
func dubious(err error) bool {
	return fault.ClassOf(err) == fault.Transient && fault.AfterOf(err) == 0 && fault.StatusOf(err) != http.StatusTooManyRequests
}

func (d *doubts) pass(texts []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.passed++
	if len(texts) == 1 && texts[0] == probe {
		return // it shows how the provider is, and is nobody's neighbour
	}
	d.texts += len(texts)
	for _, text := range texts {
		delete(d.about, text)
	}
}

func (d *doubts) fail(texts []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.about == nil || len(d.about) > mostDoubts {
		d.about = map[string]*doubt{}
	}
	for _, text := range texts {
		of := d.about[text]
		if of == nil {
			of = &doubt{passed: d.passed, failed: d.failed, texts: d.texts, seen: d.passed}
			d.about[text] = of
		}
		of.own++
		if len(texts) == 1 && d.passed > of.seen {
			of.alone++
			of.seen = d.passed
		}
	}
	d.failed++
}

// quiet reports whether nothing has passed since the text failed before.
func (d *doubts) quiet(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := d.about[text]
	return of != nil && of.seen == d.passed
}

// convict reports whether the text, and not the provider, is what fails.
func (d *doubts) convict(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := d.about[text]
	guilty := of != nil && of.alone >= exhaustedAfter && d.texts-of.texts >= neighbours &&
		d.passed-of.passed >= healthy*(d.failed-of.failed-of.own)
	if guilty {
		delete(d.about, text) // redriven, it has as many chances again
	}
	return guilty
}

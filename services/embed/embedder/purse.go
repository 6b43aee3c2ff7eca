package embedder

import (
	"fmt"
	"time"
)

// purse is the budget of one pipeline, beside that of all. Nobody waits for it: requests and the stage's batches have texts
// of several pipelines, and one that is spent must not hold up the others. So a text for which there is no room is turned
// away, and its document is owed until there may be. From the first such text on the purse is shut for the day, or smaller
// texts would use up what a large one needs.
type purse struct {
	pipeline string

	*allowance
	shut time.Time // the day on which it was found to be spent
	away int       // texts that were turned away on that day
}

// turnedAway says that a pipeline's budget has no room for a text. A text that several pipelines want is that of the one
// that would have paid.
type turnedAway struct {
	pipeline string
	until    time.Time // when there may be room
}

func (t turnedAway) Error() string {
	return fmt.Sprintf("the embedding budget of pipeline %s is spent until %s", t.pipeline, t.until.Format(time.RFC3339))
}

// of returns until when a document is owed: another pipeline than the one that would have paid may pay at once.
func (t turnedAway) of(w *work) time.Time {
	if w.in.Document.GetPipeline() != t.pipeline {
		return time.Time{}
	}
	return t.until
}

// reserve sets tokens aside until release, or turns a text away.
func (p *purse) reserve(tokens int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.isShut():
	case p.fits(tokens):
		p.reserved += tokens
		return nil
	case p.reserved > 0: // calls under way may cost less than what is set aside for them
		return turnedAway{p.pipeline, time.Now().Add(keepEvery)}
	default:
		p.shut, p.away = dayOf(time.Now()), 0
	}
	return p.turnAway()
}

// refuse turns a text away where the purse is shut.
func (p *purse) refuse() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isShut() {
		return nil
	}
	return p.turnAway()
}

func (p *purse) turnAway() error {
	p.away++
	return turnedAway{p.pipeline, p.shut.Add(day)}
}

func (p *purse) isOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.isShut()
}

func (p *purse) isShut() bool { return p.shut.Equal(dayOf(time.Now())) }

// state returns what all replicas have spent today, and how many texts this one has turned away.
func (p *purse) state() (tokens int64, away int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isShut() {
		away = p.away
	}
	return p.today(), away
}

type purses map[string]*purse

func newPurses(budgets map[string]float64, price float64) purses {
	all := purses{}
	for pipeline, perDay := range budgets {
		all[pipeline] = &purse{pipeline: pipeline, allowance: allow(perDay, price)}
	}
	return all
}

// refuse returns an error where no request for the text need be made.
func (all purses) refuse(a ask) error {
	if p := all[a.account.pipeline]; p != nil {
		return p.refuse()
	}
	return nil
}

// payer returns the first of those who want a text whose purse is not shut, else the first.
func (all purses) payer(asks []ask) ask {
	for _, a := range asks {
		if p := all[a.account.pipeline]; p == nil || p.isOpen() {
			return a
		}
	}
	return asks[0]
}

// admit sets aside what the texts will cost, until dismiss. It returns those for which there is room, with their places
// among all, and answers the others.
func (all purses) admit(asks []ask, answers []answer) (admitted []ask, places []int) {
	for i, a := range asks {
		if p := all[a.account.pipeline]; p != nil {
			if answers[i].err = p.reserve(int64(a.tokens)); answers[i].err != nil {
				continue
			}
		}
		admitted, places = append(admitted, a), append(places, i)
	}
	return admitted, places
}

func (all purses) dismiss(admitted []ask) {
	for _, a := range admitted {
		if p := all[a.account.pipeline]; p != nil {
			p.release(int64(a.tokens))
		}
	}
}

// spend books a text's share of what a request has cost.
func (all purses) spend(pipeline string, tokens int64) {
	if p := all[pipeline]; p != nil {
		p.spend(tokens)
	}
}

// learn takes what another replica has spent.
func (all purses) learn(pipeline, key string, hour time.Time, tokens int64) {
	if p := all[pipeline]; p != nil {
		p.learn(key, hour, tokens)
	}
}

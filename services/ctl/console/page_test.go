package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/freshet-io/freshet/services/ctl/console"
	"github.com/freshet-io/freshet/services/ctl/inspect"
)

// Nobody can test whether a page is beautiful, but somebody can look: FRESHET_TEST_PICTURES=folder saves what this visits.
func TestPage_isShownInBothThemesAndAllWidths(t *testing.T) {
	f := newFixture()
	b := open(t, serve(t, f).URL)
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme)
		for _, width := range []int64{390, 820, 1280, 1680} {
			b.run(chromedp.EmulateViewport(width, 860))
			for _, page := range []struct{ name, path, shows string }{
				{"pipeline", "#/", "8 dead letters"},
				{"search", "#/search?q=sleep+outdoors", "20 items"},
				{"item", "#/item?of=1001", "a batch of write takes"},
				{"letters", "#/letters", "newest first"},
			} {
				b.visit("?" + theme + page.path)
				b.eventually("the page shows "+page.shows, fmt.Sprintf("document.body.textContent.includes(%q)", page.shows))
				if over := ask[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
					t.Errorf("%s at a width of %d can be scrolled sideways, by %d", page.name, width, over)
				}
				b.picture(fmt.Sprintf("%s-%s-%d", page.name, theme, width))
			}
		}
	}
}

func TestPage_showsWhatIsWrongAndWhere(t *testing.T) {
	f := newFixture()
	b := open(t, serve(t, f).URL)
	b.visit("")
	b.shows("All is well.")
	f.set(func(f *fixture) {
		f.trouble = []inspect.Cause{{Code: inspect.CauseStageDown, Summary: "nobody runs write: its group freshet-write has no members", Detail: "14,120 records wait, the oldest for 95s", Do: "start freshet-write, or look at its log: why has it stopped?"}}
	})
	b.shows("Nobody runs write: its group freshet-write has no members")
	b.shows("Start freshet-write")
	b.shows("14,120 wait, 1 min 35 s")
	b.eventually("the stage is marked, and its way", "document.querySelector('.flow li.bad .pipe.behind') !== null")
	b.eventually("nothing moves into it", "document.querySelector('.flow li.bad .dots').classList.contains('still')")
	b.picture("trouble-light")
	b.theme("dark")
	b.picture("trouble-dark")
	f.set(func(f *fixture) { f.trouble, f.unknown = nil, []string{"the index: Weaviate does not answer"} })
	b.shows("Nothing is known to be wrong, and not all was looked at:")
	b.shows("Product not known")
	f.set(func(f *fixture) { f.unknown = nil })
	b.shows("All is well.")
	b.eventually("nothing is marked", "document.querySelector('.flow .bad, .flow .behind') === null")
}

func TestPage_isWalkedByClicks(t *testing.T) {
	f := newFixture()
	b := open(t, serve(t, f).URL)
	b.visit("")
	b.shows("Product_g1")
	b.shows("11 ms")
	first := ask[string](b, "document.querySelector('.spark polyline').getAttribute('points')")
	b.eventually("the picture lives", fmt.Sprintf("document.querySelector('.spark polyline').getAttribute('points') !== %q", first))

	b.run(chromedp.SendKeys("#find", "sleep outdoors"+kb.Enter))
	b.shows("20 items, the nearest first")
	b.run(chromedp.Click(".hits tbody tr:nth-child(2) a"))
	b.shows("In the index 87 ms after its last change")
	b.eventually("the heading is the item's name", fmt.Sprintf("document.querySelector('h1').textContent === %q", f.products[1].Name))
	if bars := ask[[]float64](b, "[...document.querySelectorAll('.hops .bar')].map(bar => bar.getBoundingClientRect().left)"); len(bars) != 6 {
		t.Errorf("%d bars, want one a hop", len(bars))
	} else {
		for i := range bars[1:] {
			if bars[i+1] <= bars[i] {
				t.Errorf("the bars begin at %v: each must begin after the one before", bars)
			}
		}
	}

	b.run(chromedp.SetValue("form.change input[name=price]", "59.90"), chromedp.Click("form.change button"))
	b.shows("Searchable after 87 ms: found first by the meaning of its text, where price = 59.90")
	if len(f.changes) != 1 || f.changes[0] != (console.Change{ID: "1002", Name: f.products[1].Name, Price: "59.90"}) {
		t.Errorf("the shop was told %+v", f.changes)
	}

	b.run(chromedp.Click("header nav a[href='#/letters']"))
	b.shows("3 letters, newest first")
	b.run(chromedp.Click(".bars a[href*='field-type']"))
	b.shows("1 letter with the reason field-type")
	b.run(chromedp.Click(".letters summary"))
	b.shows(`"price":"twelve"`)
	b.shows("Correct the row at its source")
	b.run(chromedp.Click(".inside a[href*='of=1003']"))
	b.eventually("the item of the letter is shown", fmt.Sprintf("document.querySelector('h1').textContent === %q", f.products[2].Name))
}

func TestPage_isWalkedByKeysAlone(t *testing.T) {
	f := newFixture()
	b := open(t, serve(t, f).URL)
	b.visit("")
	b.shows("Product_g1")
	b.press(kb.Tab)
	if first := ask[string](b, "document.activeElement.textContent"); first != "Skip to the content" {
		t.Errorf("the first key leads to %q", first)
	}
	b.press("/")
	b.eventually("a key leads to the search box", "document.activeElement.id === 'find'")
	b.press("sleep outdoors" + kb.Enter)
	b.shows("20 items")
	b.eventually("the new view's heading has the focus", "document.activeElement.tagName === 'H1'")
	b.tabTo("an item", "it.closest('.hits')")
	b.press(kb.Enter)
	b.shows("In the index 87 ms")
	b.eventually("the item's heading has the focus", "document.activeElement.tagName === 'H1'")
	b.tabTo("the price", "it.name === 'price'")
	b.press("12.5" + kb.Enter) // by Tab a field is chosen whole
	b.shows("Searchable after 87 ms")
	b.eventually("the focus stays", "document.activeElement.closest('form.change')")
	b.run(chromedp.Evaluate[chromedp.Void]("document.querySelector('.skip').focus()"))
	b.tabTo("the dead letters", "it.textContent === 'Dead letters'")
	b.press(kb.Enter)
	b.shows("3 letters")
	b.tabTo("a letter", "it.tagName === 'SUMMARY'")
	b.press(kb.Enter)
	b.shows(`"price":"twelve"`)
	unnamed := ask[[]string](b, `[...document.querySelectorAll('input, button, a, summary, select')].filter(it =>
		!it.textContent.trim() && !it.getAttribute('aria-label') && !it.labels?.length).map(it => it.outerHTML)`)
	if len(unnamed) > 0 {
		t.Errorf("a screen reader has no name for %s", unnamed)
	}
}

// What an item, a letter or a server says is anybody's.
func TestPage_hostileTextsStayTexts(t *testing.T) {
	const script = `<script>window.owned = 1</script><img src=x onerror="window.owned = 1"><svg onload="window.owned = 1">`
	hostile := script + "\u202egnirts desrever\u2066\x00\x1b[31m" + strings.Repeat("W", 1<<20)
	f := newFixture()
	for i := range f.products[:3] {
		f.products[i].Name, f.products[i].Brand, f.products[i].Description = hostile, hostile, hostile
	}
	f.trouble = []inspect.Cause{{Summary: hostile, Detail: hostile, Do: hostile}}
	f.said = hostile
	b := open(t, serve(t, f).URL)
	for _, page := range []string{"#/", "#/search?q=x", "#/item?of=1001", "#/letters", "#/item?of=shop/0/1", "#/item?of=" + "%3Cscript%3Ewindow.owned=1%3C/script%3E"} {
		b.visit("?" + strconv.Itoa(len(page)) + page)
		b.eventually("the hostile text is shown as text", "document.querySelector('main').textContent.includes('<script>window.owned')")
		if strings.Contains(page, "1001") || page == "#/" {
			b.shows("⟨U+202E⟩gnirts desrever")
			b.shows("␀␛[31m")
			b.shows("1,048,")
		}
		for what, expression := range map[string]string{
			"a script ran":                 "window.owned !== undefined",
			"an element of the text":       "document.querySelector('main script, main img, main svg:not(.spark)') !== null",
			"it can be scrolled sideways":  "document.documentElement.scrollWidth > document.documentElement.clientWidth",
			"a text takes the whole page":  "document.documentElement.scrollHeight > 60000",
			"a control of direction is in": "/[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.textContent)",
		} {
			if ask[bool](b, expression) {
				t.Errorf("%s: %s", page[:min(len(page), 20)], what)
			}
		}
	}
	f.set(func(f *fixture) { f.failing = errors.New(script) })
	b.run(chromedp.Reload())
	b.shows("This cannot be shown")
	b.hurt = true // the browser itself says that an answer has status 502
	if ask[bool](b, "window.owned !== undefined || document.querySelector('main script, main img, main svg') !== null") {
		t.Error("an error is read as markup")
	}
}

// A page elsewhere, open in the same browser, gets nothing and changes nothing.
func TestPage_otherPagesAreKeptAway(t *testing.T) {
	f := newFixture()
	url := serve(t, f).URL
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<iframe src="%[1]s/"></iframe><script>
			window.told = [];
			const body = JSON.stringify({id: '1001', name: 'owned', price: '1'});
			const tries = [
				() => fetch('%[1]s/').then(r => r.text()),
				() => fetch('%[1]s/api/status').then(r => r.text()),
				() => fetch('%[1]s/api/search?q=costs+money', {mode: 'no-cors'}),
				() => fetch('%[1]s/api/changes', {method: 'POST', mode: 'no-cors', body}),
				() => fetch('%[1]s/api/changes', {method: 'POST', headers: {'Freshet-Token': 'guess'}, body}),
			];
			Promise.allSettled(tries.map(t => t())).then(all => {
				window.told = all.map(({status, value}) => status + ' ' + (typeof value === 'string' ? value : value?.type));
			});
		</script>`, url)
	}))
	t.Cleanup(evil.Close)
	b := open(t, evil.URL)
	b.hurt = true
	b.visit("")
	b.eventually("all tries have ended", "window.told.length === 5")
	told := ask[[]string](b, "window.told")
	for i, outcome := range told {
		if !strings.HasPrefix(outcome, "rejected") {
			t.Errorf("try %d: %s", i, outcome)
		}
	}
	f.set(func(f *fixture) {
		if len(f.changes) > 0 || len(f.searched) > 0 || f.looks > 0 {
			t.Errorf("another page has changed %d products, searched %d times, looked %d times", len(f.changes), len(f.searched), f.looks)
		}
	})
}

func TestPage_saysThatTheConsoleIsGoneAndGoesOnWhenItIsBack(t *testing.T) {
	f := newFixture()
	b := open(t, serve(t, f).URL)
	b.hurt = true // the browser itself says that an answer has status 502
	b.visit("")
	b.eventually("the page is live", "document.querySelector('.live.well') !== null")
	f.set(func(f *fixture) { f.failing = errors.New("Kafka at 127.0.0.1:1 does not answer") })
	b.shows("not reached")
	f.set(func(f *fixture) { f.failing = nil })
	b.eventually("the page is live", "document.querySelector('.live.well') !== null")
}

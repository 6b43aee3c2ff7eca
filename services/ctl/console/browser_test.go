package console_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/freshet-io/freshet/libs/fake/local/localtest"
)

// patience is how long a condition may take: a busy machine starts a browser in half a minute.
const patience = 2 * time.Minute

// browser is one tab of a headless Chromium, which watches what the page asks for and what it complains of.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	hurt bool // it visits a page that is refused, of which the browser itself complains

	mu        sync.Mutex
	requested []string
	faults    []string
}

// open starts a Chromium that reaches nothing but loopback, and ends it with the test. The test fails where the page has
// an error in its console, or asks for anything elsewhere.
func open(t *testing.T, base string) *browser {
	t.Helper()
	path := localtest.Installed(t, "../../../scripts/install-chromium.sh")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE rebound.test"), chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("force-color-profile", "srgb"))
	ctx, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	ctx, _ = chromedp.NewContext(ctx)
	b := &browser{t: t, ctx: ctx, base: base}
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	b.run(chromedp.EmulateViewport(1280, 900))
	return b
}

func (b *browser) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requested = append(b.requested, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.faults = append(b.faults, fmt.Sprintf("console.%s: %s", e.Type, e.Args[0].Value))
	case *log.EventEntryAdded:
		b.faults = append(b.faults, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	}
}

// close ends the browser and waits until it is gone.
func (b *browser) close() {
	if err := chromedp.Cancel(b.ctx); err != nil {
		b.t.Errorf("ending the browser: %v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hurt {
		return
	}
	for _, fault := range b.faults {
		b.t.Errorf("the page complains: %s", fault)
	}
	for _, url := range b.requested {
		if !strings.HasPrefix(url, b.base+"/") {
			b.t.Errorf("the page asks for %s, which is not the console's", url)
		}
	}
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v\nthe page shows:\n%s", err, b.text())
	}
}

// ask evaluates an expression in the page.
func ask[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return answer
}

func (b *browser) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`)) // of help where it works
	return text
}

// eventually waits until an expression of the page is true. chromedp's own Poll makes a function of a text, which the page's
// policy forbids.
func (b *browser) eventually(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience); !ask[bool](b, "Boolean("+expression+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("it does not come to this: %s\nthe page shows:\n%s", what, b.text())
		}
	}
}

func (b *browser) shows(text string) {
	b.t.Helper()
	b.eventually("the page shows "+text, fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

func (b *browser) visit(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.base + "/" + path))
}

// picture saves the page, where somebody wants to look at it.
func (b *browser) picture(name string) {
	b.t.Helper()
	folder := os.Getenv("FRESHET_TEST_PICTURES")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) theme(name string) {
	b.t.Helper()
	b.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return chromedp.Void{}, err
	})
}

// press presses keys, wherever the focus is.
func (b *browser) press(keys string) {
	b.t.Helper()
	b.run(chromedp.KeyEvent(keys))
}

// tabTo presses the key Tab until the element that has the focus satisfies a condition on `it`.
func (b *browser) tabTo(what, condition string) {
	b.t.Helper()
	for range 80 {
		if ask[bool](b, "(it => Boolean("+condition+"))(document.activeElement)") {
			return
		}
		b.press(kb.Tab)
	}
	b.t.Fatalf("no way by Tab to %s\nthe page shows:\n%s", what, b.text())
}

func serve(t *testing.T, f *fixture) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f.console().Handler())
	t.Cleanup(s.Close)
	return s
}

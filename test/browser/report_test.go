package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
)

// programs are the names of Chromium: Debian's, others, and Google's.
var programs = []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"}

// newBrowser starts a browser that ends with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	program := ""
	for _, name := range programs {
		if found, err := exec.LookPath(name); err == nil && program == "" {
			program = found
		}
	}
	if program == "" {
		t.Fatalf("none of %q is on the PATH; `make chromium` installs one on Debian", programs)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stopBrowser := chromedp.NewContext(ctx)
	t.Cleanup(stopBrowser)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return ctx
}

// samples writes the pages and returns the path of each.
func samples(t *testing.T) map[string]string {
	t.Helper()
	directory := t.TempDir()
	write := exec.Command("go", "test", "./internal/brane/report", "-count", "1", "-run", "^TestSamples$", "-pages", directory)
	write.Dir = "../.."
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("write the pages: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(directory, "*.html"))
	if err != nil || len(files) < 8 {
		t.Fatalf("there are %d pages: %v", len(files), err)
	}
	pages := map[string]string{}
	for _, file := range files {
		pages[strings.TrimSuffix(filepath.Base(file), ".html")] = file
	}
	return pages
}

// heard records the requests of a page and the messages of the browser.
type heard struct {
	mu       sync.Mutex
	requests []string
	said     []string
}

// open opens a page in its own tab, and returns the tab's context.
func open(browser context.Context, t *testing.T, file string) (context.Context, *heard) {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	h := &heard{}
	err := chromedp.Listen(ctx, func(event any) {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			h.requests = append(h.requests, event.Request.URL)
		case *runtime.EventConsoleAPICalled:
			h.said = append(h.said, fmt.Sprintf("console: %s", event.Type))
		case *runtime.EventExceptionThrown:
			h.said = append(h.said, event.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			h.said = append(h.said, event.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	command(ctx, t, network.Enable, network.EnableParams{})
	do(ctx, t, chromedp.Navigate("file://"+file))
	return ctx, h
}

// do runs an action with a time limit that is generous for a loaded machine.
func do(ctx context.Context, t *testing.T, action chromedp.Action[chromedp.Void]) {
	t.Helper()
	value(ctx, t, action)
}

func value[T any](ctx context.Context, t *testing.T, action chromedp.Action[T]) T {
	t.Helper()
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	answer, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func command[P, R any](ctx context.Context, t *testing.T, command cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		t.Fatalf("%s: %v", command.Method, err)
	}
}

// ask evaluates an expression on the page.
func ask[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	return value(ctx, t, chromedp.Evaluate[T](expression))
}

// TestPagesInABrowser checks that each page loads nothing else, causes no message of the browser, and is no wider than the screen of a
// phone or a desktop.
func TestPagesInABrowser(t *testing.T) {
	browser := newBrowser(t)
	for name, file := range samples(t) {
		t.Run(name, func(t *testing.T) {
			ctx, h := open(browser, t, file)
			for _, width := range []int64{320, 390, 1280} {
				do(ctx, t, chromedp.EmulateViewport(width, 900))
				if wide := ask[int64](ctx, t, `document.documentElement.scrollWidth`); wide > width {
					t.Errorf("on a screen of %d the page is %d wide because of %s", width, wide, ask[string](ctx, t, tooWide))
				}
				keep(ctx, t, fmt.Sprintf("%s-%d", name, width))
			}
			for _, scheme := range []string{"light", "dark"} {
				command(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				if poor := ask[[]string](ctx, t, poorContrast); len(poor) > 0 {
					t.Errorf("%s: too little contrast of %q", scheme, poor)
				}
				keep(ctx, t, name+"-"+scheme)
			}
			if unnamed := ask[[]string](ctx, t, withoutName); len(unnamed) > 0 {
				t.Errorf("a screen reader has no name for %q", unnamed)
			}
			if scripts := ask[int](ctx, t, `document.querySelectorAll('script, iframe, object, embed, img, link:not([rel=icon]), [style]').length`); scripts > 0 {
				t.Errorf("there are %d elements that run or load something", scripts)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, request := range h.requests {
				if request != "file://"+file && request != "data:," {
					t.Errorf("it asks for %q", request)
				}
			}
			for _, said := range h.said {
				t.Errorf("the browser reported: %s", said)
			}
		})
	}
}

// TestStepsInABrowser checks that each step is in the timeline, and in the graph or in a box of several steps.
func TestStepsInABrowser(t *testing.T) {
	browser, pages := newBrowser(t), samples(t)
	for name, want := range map[string]struct {
		title                        string
		steps, boxes, arrows, opened int
	}{
		"small":   {"wordcount succeeded", 3, 3, 2, 0},
		"failed":  {"align failed", 4, 4, 4, 1},
		"one":     {"one succeeded", 1, 0, 0, 0},
		"thirty":  {"variants succeeded", 30, 30, 35, 0},
		"fan-out": {"shards failed", 300, 3, 2, 1},
		"chain":   {"chain succeeded", 300, 300, 299, 0},
		"nothing": {"nothing stopped", 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, _ := open(browser, t, pages[name])
			for what, check := range map[string]struct {
				selector string
				want     int
			}{
				"steps in the timeline":      {"details.step > summary .name", want.steps},
				"boxes of the graph":         {"svg.graph a.box", want.boxes},
				"arrows":                     {"svg.graph path.arrow", want.arrows},
				"steps that are open":        {"details.step[open]", want.opened},
				"headings of the first rank": {"h1", 1},
			} {
				if got := ask[int](ctx, t, fmt.Sprintf(`document.querySelectorAll(%q).length`, check.selector)); got != check.want {
					t.Errorf("%d %s, want %d", got, what, check.want)
				}
			}
			if got := ask[string](ctx, t, `document.title`); got != want.title {
				t.Errorf("the title is %q, want %q", got, want.title)
			}
			if want.boxes == 0 {
				return
			}
			// A box links to its step, which opens on a click.
			if got := ask[bool](ctx, t, `[...document.querySelectorAll('a.box')].every(a => document.querySelector(a.getAttribute('href'))?.matches('details.step'))`); !got {
				t.Error("a box of the graph has no step")
			}
			if got := ask[[]string](ctx, t, labelsOutside); len(got) > 0 {
				t.Errorf("these labels exceed their boxes: %q", got)
			}
			do(ctx, t, chromedp.Click("details.step:not([open]) > summary"))
			if got := ask[int](ctx, t, `document.querySelectorAll('details.step[open]').length`); got != want.opened+1 {
				t.Errorf("after a click on a step %d are open, want %d", got, want.opened+1)
			}
		})
	}
}

// TestHostileTextsInABrowser checks that no name, path or output runs or loads anything.
func TestHostileTextsInABrowser(t *testing.T) {
	browser, pages := newBrowser(t), samples(t)
	ctx, _ := open(browser, t, pages["hostile"])
	if title := ask[string](ctx, t, `document.title`); !strings.HasPrefix(title, "</script>") {
		t.Errorf("the title is %q", title)
	}
	if got := ask[int](ctx, t, `document.querySelectorAll('script, img, style').length`); got != 1 {
		t.Errorf("there are %d elements of a script, a picture or a style, want the one style", got)
	}
	// If something passed nevertheless, the policy would stop it.
	stopped := ask[bool](ctx, t, `(() => { const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s); return window.ran !== true })()`)
	if !stopped {
		t.Error("a script in the page runs")
	}
}

// keep saves a screenshot if BRANE_SCREENSHOTS names a directory.
func keep(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	directory := os.Getenv("BRANE_SCREENSHOTS")
	if directory == "" {
		return
	}
	picture := value(ctx, t, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(directory, name+".png"), picture, 0o600); err != nil {
		t.Fatal(err)
	}
}

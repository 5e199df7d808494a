// Package browser looks at the pages that internal/brane/report writes with a real browser, headless Chromium. It is a module of its own, so that what drives a
// browser is no dependency of the provider's; the pages come from that package's own test, which writes its samples.
package browser

// Package browser tests the pages of internal/brane/report in a real browser, headless Chromium. It is a separate module, so that the
// provider does not depend on the browser driver; the pages are the samples that the tests of that package write.
package browser

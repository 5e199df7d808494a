package report

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// escapes matches terminal sequences: colours, cursor movements, titles.
var escapes = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])")

// sanitizeText makes a text readable and harmless: it removes terminal sequences, keeps the last version of an overwritten line, and escapes
// characters that are invisible or change the direction of writing.
func sanitizeText(text string) string {
	text = escapes.ReplaceAllString(strings.ToValidUTF8(text, "�"), "")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var b strings.Builder
	for line := range strings.Lines(text) {
		end := strings.TrimRight(line, "\r\n")
		if last := strings.LastIndexByte(end, '\r'); last >= 0 {
			end = end[last+1:]
		}
		for _, r := range end {
			if r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				fmt.Fprintf(&b, "\\u%04x", r)
				continue
			}
			b.WriteRune(r)
		}
		if strings.HasSuffix(line, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// oneLine returns a text on one line: a path may contain anything, and a name with a newline could look like two.
func oneLine(text any) string {
	return strings.ReplaceAll(strings.ReplaceAll(sanitizeText(fmt.Sprint(text)), "\n", "\\u000a"), "\t", "\\u0009")
}

// lastLines returns the end of a text, at most limit bytes, from the beginning of a line if possible.
func lastLines(text string, limit int) (last string, isCut bool) {
	text = strings.TrimRight(text, "\n")
	if len(text) <= limit {
		return text, false
	}
	text = text[len(text)-limit:]
	if at := strings.IndexByte(text, '\n'); at >= 0 && at < len(text)-1 {
		return text[at+1:], true
	}
	for len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return text, true
}

// shortenName shortens a name to limit characters and keeps its beginning and end, as numbered names differ at their ends.
func shortenName(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	end := limit / 3
	return string(runes[:limit-1-end]) + "…" + string(runes[len(runes)-end:])
}

func formatDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return strconv.FormatFloat(d.Truncate(100*time.Millisecond).Seconds(), 'f', 1, 64) + " s"
	case d < time.Hour:
		return fmt.Sprintf("%d m %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %02d m", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %02d h", int(d.Hours())/24, int(d.Hours())%24)
}

func formatSize(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1<<10 && unit < 4 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[unit])
}

func formatCount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func formatTime(t time.Time) string     { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }
func formatDateTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// formatNumber formats a coordinate: two decimals are finer than any screen.
func formatNumber(x float64) string {
	return strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64)
}

package branelet

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

// MaxResult is the maximum length of the JSON of a result, which is stored in Redis and in Terraform's state, and may be an argument of another call.
const MaxResult = 1 << 20

// resultPrefix marks the line of the result if [EnvPrefix] is set in Brane 3 and newer.
const resultPrefix = "[OUTPUT] "

// Errors of a result.
var (
	// ErrNoResult reports that no line of the output is a result.
	ErrNoResult = errors.New("no line of its output is a result")
	// ErrLargeResult reports that the result is longer than [MaxResult].
	ErrLargeResult = fmt.Errorf("its result is larger than %d bytes; write large values to files", MaxResult)
)

// Output is a writer that finds the result in the standard output of branelet. It only keeps the line that may be the result.
type Output struct {
	Version Version

	line   []byte // the current line so far, if it may be a result
	prefix bool   // whether the line begins with the prefix
	hold   hold
	result []byte // JSON of the last line that is a result
	marked bool   // whether that line had the prefix
	large  bool   // whether a later line may be a result that is too long
}

// hold is what the current line may still be.
type hold int

const (
	open  hold = iota // a result
	none              // not a result: it has characters that are not base64
	large             // a result that is too long
)

var maxLine = base64.StdEncoding.EncodedLen(MaxResult)

// Write processes more of the output. It never fails.
func (o *Output) Write(text []byte) (int, error) {
	for rest := text; len(rest) > 0; {
		line, after, ends := bytes.Cut(rest, []byte{'\n'})
		o.appendToLine(line)
		if ends {
			o.endLine()
		}
		rest = after
	}
	return len(text), nil
}

// appendToLine adds text to the current line.
func (o *Output) appendToLine(text []byte) {
	if o.hold == open {
		o.line = append(o.line, text...)
		if rest, ok := bytes.CutPrefix(o.line, []byte(resultPrefix)); ok && !o.prefix {
			o.prefix, o.line = true, rest
		}
		if !o.prefix && bytes.HasPrefix([]byte(resultPrefix), o.line) {
			return // it may become the prefix
		}
		text = o.line
	}
	switch {
	case o.hold == none:
	case !isBase64(text):
		o.hold, o.line = none, nil
	case len(o.line) > maxLine+1: // a carriage return may end it
		o.hold, o.line = large, nil
	}
}

// endLine processes the completed line.
func (o *Output) endLine() {
	line, prefix, held := bytes.TrimSuffix(o.line, []byte{'\r'}), o.prefix, o.hold
	o.line, o.prefix, o.hold = o.line[:0], false, open
	if o.marked && !prefix {
		return // a marked line takes precedence over all others
	}
	if held == large {
		o.large = true
		return
	}
	if held == none || len(line) == 0 {
		return
	}
	result := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Strict().Decode(result, line)
	if err != nil {
		return
	}
	if n > MaxResult { // its encoding is as long as that of MaxResult
		o.large = true
		return
	}
	if _, err := o.Version.Decode(result[:n]); err == nil {
		o.result, o.marked, o.large = result[:n], prefix, false
	}
}

// Result returns the JSON of the last line that is a result. It is called after the whole output was written.
func (o *Output) Result() ([]byte, error) {
	o.endLine() // the last line may have no newline
	switch {
	case o.large:
		return nil, ErrLargeResult
	case o.result == nil:
		return nil, ErrNoResult
	}
	return o.result, nil
}

// isBase64 reports whether a text only has characters of base64, padding and carriage returns.
func isBase64(text []byte) bool {
	for _, c := range text {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/', c == '=', c == '\r':
		default:
			return false
		}
	}
	return true
}

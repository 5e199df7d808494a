package branelet

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

// MaxResult is how long the JSON of a result may be. It goes into Redis, into Terraform's state, and maybe into the arguments of another call.
const MaxResult = 1 << 20

// resultPrefix marks the line of the result in what branelet of Brane 3 and newer prints, where it is asked to.
const resultPrefix = "[OUTPUT] "

// Errors of a result.
var (
	// ErrNoResult says that no line of what was printed is a result.
	ErrNoResult = errors.New("no line of its output is a result")
	// ErrLargeResult says that the result is longer than [MaxResult].
	ErrLargeResult = fmt.Errorf("its result is larger than %d bytes: leave large values in files", MaxResult)
)

// Output finds the result in the standard output of branelet, which is written to it. It keeps no more than the line that may be the result.
type Output struct {
	Version Version

	line   []byte // the beginning of the current line, as long as it may be a result
	prefix bool   // whether the line begins with the prefix
	hold   hold
	result []byte // JSON of the last line that is one
	marked bool   // whether that had the prefix
	large  bool   // whether a line after it may be a result that is too long
}

// hold is what the current line may be.
type hold int

const (
	open  hold = iota // a result
	none              // none: some of its characters are not of base64
	large             // a result that is too long
)

var maxLine = base64.StdEncoding.EncodedLen(MaxResult)

// Write takes some more of the output. It never fails.
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

func (o *Output) appendToLine(text []byte) {
	if o.hold == open {
		o.line = append(o.line, text...)
		if rest, ok := bytes.CutPrefix(o.line, []byte(resultPrefix)); ok && !o.prefix {
			o.prefix, o.line = true, rest
		}
		if !o.prefix && bytes.HasPrefix([]byte(resultPrefix), o.line) {
			return // it may become one
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

// end takes the line as complete.
func (o *Output) endLine() {
	line, prefix, held := bytes.TrimSuffix(o.line, []byte{'\r'}), o.prefix, o.hold
	o.line, o.prefix, o.hold = o.line[:0], false, open
	if o.marked && !prefix {
		return // a marked line is the result, whatever the program itself prints
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
	if n > MaxResult { // by less than base64 can tell
		o.large = true
		return
	}
	if _, err := o.Version.Decode(result[:n]); err == nil {
		o.result, o.marked, o.large = result[:n], prefix, false
	}
}

// Result is the JSON of the last line that is a result, after all was written.
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

// isBase64 says whether a text may be base64 with padding and a carriage return at its end.
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

package files

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// FuzzPlainLines: the short way reads a line as the long way does, or not at all, and both write the same.
func FuzzPlainLines(f *testing.F) {
	seeds := []string{
		`{"p":"a","m":"644"}`,
		`{"p":"d/f","m":"600","s":4096,"c":["` + hex64 + `"],"o":12,"h":"` + hex64 + `","b":"split.3"}`,
		`{"p":"large","m":"600","s":1048513,"c":["` + hex64 + `","` + hex64 + `"]}`,
		`{"p":"d","t":"d","m":"1777"}`,
		`{"p":"ü","m":"644"}`, `{"p":"a\"b","m":"644"}`, `{"p":"a","m":"644","s":01}`, `{"p":"a","m":"644","x":1}`,
		`{"p":"a","m":"9"}`, `{"p":"a","m":"644","s":9999999999999999999}`, `{"p":"a","m":"644"} `, `{"p":"","m":"644"}`,
	}
	short := 0
	for _, seed := range seeds {
		f.Add([]byte(seed))
		if _, ok := parsePlain([]byte(seed), &sharer{}); ok {
			short++
		}
	}
	if short != 4 {
		f.Fatalf("%d of the seeds are read the short way, want the first 4", short)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, ok := parsePlain(text, &sharer{})
		if !ok {
			return
		}
		long, err := parseLine(text)
		if err != nil || !reflect.DeepEqual(e, long) {
			t.Fatalf("%s is read as\n%+v, the long way as\n%+v, %v", text, e, long, err)
		}
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(lineOf(&e)); err != nil {
			t.Fatal(err)
		}
		if line, plain := appendPlain(nil, &e); plain && string(line)+"\n" != want.String() {
			t.Fatalf("written as\n%s, the long way as\n%s", line, &want)
		}
	})
}

func TestLinksAreNotPlain(t *testing.T) {
	for _, e := range []Entry{
		{Path: "l", Mode: os.ModeSymlink | 0o777, Link: "x"},
		{Path: "a\nb", Mode: 0o644}, {Path: "\xff", Mode: 0o644}, {Path: `a\b`, Mode: 0o644}, {Path: "ü", Mode: 0o644},
	} {
		if line, ok := appendPlain(nil, &e); ok {
			t.Errorf("%q is written as %s", e.Path, line)
		}
	}
}

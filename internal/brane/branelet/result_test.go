package branelet

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

const (
	helloLine = "eyJ2IjoidW5pY29kZSIsImMiOiJIZWxsbywgd29ybGQhIn0="
	hello     = `{"v":"unicode","c":"Hello, world!"}`
	zeroLine  = "eyJ2IjoiaW50ZWdlciIsImMiOjB9"
	zero      = `{"v":"integer","c":0}`
)

func lineOf(json string) string { return base64.StdEncoding.EncodeToString([]byte(json)) }

func TestOutput(t *testing.T) {
	long := `"` + strings.Repeat("x", MaxResult-2) + `"`
	for name, tt := range map[string]struct {
		version      Version
		output, want string
		err          error
	}{
		"the only line":                     {V06, helloLine + "\n", hello, nil},
		"a line without an end":             {V06, helloLine, hello, nil},
		"a line that ends as in Windows":    {V06, helloLine + "\r\n", hello, nil},
		"the program's lines before it":     {V04, "starting\ncode: 0\n" + zeroLine + "\n", zero, nil},
		"log lines after it":                {V06, zeroLine + "\n[2022-05-11] INFO Reached target 'Completed'\n", zero, nil},
		"the last of two":                   {V06, zeroLine + "\n" + helloLine + "\n", hello, nil},
		"base64 that is no value after it":  {V06, helloLine + "\nAAAA\n", hello, nil},
		"of another family":                 {V3, helloLine + "\n", "", ErrNoResult},
		"plain":                             {V1, "IkhlbGxvLCB3b3JsZCEi\n", `"Hello, world!"`, nil},
		"plain zero":                        {V2, "MA==\n", "0", nil},
		"plain nothing":                     {V2, "bnVsbA==\n", "null", nil},
		"marked":                            {V3, "[OUTPUT] MA==\n", "0", nil},
		"marked, before a line that is not": {V3, "[OUTPUT] MA==\nbnVsbA==\n", "0", nil},
		"marked, after a line that is not":  {V3, "bnVsbA==\n[OUTPUT] MA==\n", "0", nil},
		"not marked, though it could be":    {V3, "MA==\n", "0", nil},
		"the mark of something else":        {V3, "[OUTPUT] nothing to see\nMA==\n", "0", nil},
		"nothing":                           {V06, "", "", ErrNoResult},
		"words only":                        {V06, "one\ntwo\n", "", ErrNoResult},
		"without its padding":               {V06, strings.TrimRight(helloLine, "=") + "\n", "", ErrNoResult},
		"in the middle of a line":           {V06, "result: " + helloLine + "\n", "", ErrNoResult},
		"as large as it may be":             {V3, "[OUTPUT] " + lineOf(long) + "\n", long, nil},
		"larger":                            {V3, lineOf(`"x`+long[1:]) + "\n", "", ErrLargeResult},
		"larger, and marked":                {V3, "[OUTPUT] " + lineOf(`"xxxx`+long[1:]) + "\n", "", ErrLargeResult},
		"larger, after one that is not":     {V3, "MA==\n" + lineOf(`"xxxx`+long[1:]) + "\n", "", ErrLargeResult},
		"larger, before one that is not":    {V3, lineOf(`"xxxx`+long[1:]) + "\nMA==\n", "0", nil},
		"larger, but no base64 in the end":  {V3, lineOf(`"xxxx`+long[1:]) + " \nMA==\n", "0", nil},
		"only no base64 in the end":         {V3, lineOf(`"xxxx`+long[1:]) + " \n", "", ErrNoResult},
	} {
		for pieces, size := range map[string]int{"in one write": len(tt.output), "byte by byte": 1, "in pieces": 32<<10 - 1} {
			if size == 1 && len(tt.output) > 1<<10 {
				continue
			}
			t.Run(name+" "+pieces, func(t *testing.T) {
				output := &Output{Version: tt.version}
				for rest := tt.output; len(rest) > 0; {
					n := min(size, len(rest))
					if written, err := output.Write([]byte(rest[:n])); written != n || err != nil {
						t.Fatal(written, err)
					}
					rest = rest[n:]
				}
				got, err := output.Result()
				if string(got) != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("got %.100s, %v; want %.100s", got, err, tt.want)
				}
			})
		}
	}
}

// TestOutputKeepsOneLine checks that no more than the line that may be a result is kept.
func TestOutputKeepsOneLine(t *testing.T) {
	for name, text := range map[string]string{"of logs": strings.Repeat("step 1 done\n", 1<<10), "that is one line of base64": strings.Repeat("AAAA", 4<<10), "that is one line": strings.Repeat("a b ", 4<<10)} {
		output := &Output{Version: V06}
		for range 1 << 10 {
			if _, err := output.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if cap(output.line) > 2*maxLine {
			t.Errorf("after 16 MB %s it holds %d bytes", name, cap(output.line))
		}
	}
}

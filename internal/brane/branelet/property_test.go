package branelet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/quick"
)

// sample is any value of any version, for testing/quick.
type sample struct {
	version Version
	value   Value
}

func (sample) Generate(r *rand.Rand, size int) reflect.Value {
	version := Versions()[r.Intn(len(Versions()))]
	return reflect.ValueOf(sample{version, randomValue(r, 3, size)})
}

var oddTexts = []string{"", "é", "日本語", "\u2028", "\x00", "\"\\", "<&>", "😀", "\n", "Data", "[OUTPUT] "}

func randomText(r *rand.Rand, size int) string {
	var text strings.Builder
	for range r.Intn(size + 1) {
		text.WriteString(oddTexts[r.Intn(len(oddTexts))])
		text.WriteRune(rune(r.Intn(0x2000)))
	}
	return text.String()
}

func randomReal(r *rand.Rand) float64 {
	edges := []float64{0, 1, -3, math.MaxFloat64, math.SmallestNonzeroFloat64, 1e21, 1e-7, 0.1, 9007199254740993}
	for {
		number := math.Float64frombits(r.Uint64())
		if r.Intn(3) == 0 {
			number = edges[r.Intn(len(edges))]
		}
		if !math.IsNaN(number) && !math.IsInf(number, 0) {
			return number
		}
	}
}

func randomValue(r *rand.Rand, depth, size int) Value {
	kinds := 5
	if depth > 0 {
		kinds = 7
	}
	switch r.Intn(kinds) {
	case 0:
		return Boolean(r.Intn(2) == 0)
	case 1:
		return Integer([]int64{r.Int63(), -r.Int63(), 0, math.MinInt64, math.MaxInt64, 1<<53 + 1}[r.Intn(6)])
	case 2:
		return Real(randomReal(r))
	case 3:
		return String(randomText(r, size))
	case 4:
		return Unit{}
	case 5:
		entries := make([]Value, 1+r.Intn(4))
		for i := range entries {
			entries[i] = randomValue(r, depth-1, size)
		}
		return Array{Of: entries[0].Type(), Entries: entries}
	default:
		properties := map[string]Value{}
		for range r.Intn(4) {
			properties[randomText(r, 3)] = randomValue(r, depth-1, size)
		}
		return Struct{Class: randomText(r, 3), Properties: properties}
	}
}

// TestReadsAnyValueBack encodes and decodes random values.
func TestReadsAnyValueBack(t *testing.T) {
	survives := func(s sample) bool {
		text, err := s.version.Encode(s.value)
		if err != nil {
			t.Log(err)
			return false
		}
		again, err := s.version.Decode(text)
		if err != nil || !reflect.DeepEqual(again, s.value) {
			t.Logf("Brane %s: %#v became %#v, %v", s.version, s.value, again, err)
			return false
		}
		return true
	}
	if err := quick.Check(survives, &quick.Config{MaxCount: 3000}); err != nil {
		t.Error(err)
	}
}

// TestReadsAnyArgumentsAndResultBack encodes and decodes random arguments, and finds a random result among other output.
func TestReadsAnyArgumentsAndResultBack(t *testing.T) {
	survives := func(s sample, log []byte) bool {
		arguments := map[string]Value{"é": s.value, "second": Integer(2)}
		encoded, err := s.version.EncodeArguments(arguments)
		if err != nil {
			t.Log(err)
			return false
		}
		again, err := s.version.DecodeArguments(encoded)
		if err != nil || !reflect.DeepEqual(again, arguments) {
			t.Logf("%#v became %#v, %v", arguments, again, err)
			return false
		}
		text, err := s.version.Encode(s.value)
		if err != nil {
			t.Log(err)
			return false
		}
		output := &Output{Version: s.version}
		_, _ = output.Write(slices.Concat(log, []byte("\n"+base64.StdEncoding.EncodeToString(text)+"\nthe end\n"))) // never fails
		found, err := output.Result()
		if err != nil || !bytes.Equal(found, text) {
			t.Logf("after %q: found %s, %v, want %s", log, found, err, text)
			return false
		}
		return true
	}
	if err := quick.Check(survives, &quick.Config{MaxCount: 1000}); err != nil {
		t.Error(err)
	}
}

func addValues(f *testing.F) {
	f.Helper()
	for _, g := range goldens {
		f.Add(string(g.version), []byte(g.json))
	}
	if len(goldens) == 0 {
		f.Fatal("there are no seeds")
	}
}

// FuzzDecode checks that a decoded value can be encoded, that decoding it again gives the same value, and that [JSON] is JSON.
func FuzzDecode(f *testing.F) {
	addValues(f)
	f.Fuzz(func(t *testing.T, release string, text []byte) {
		version, err := ParseVersion(release)
		if err != nil {
			return
		}
		value, err := version.Decode(text)
		if err != nil {
			return
		}
		written, err := version.Encode(value)
		if err != nil {
			t.Fatalf("%#v cannot be written: %v", value, err)
		}
		again, err := version.Decode(written)
		if err != nil || !reflect.DeepEqual(again, value) {
			t.Fatalf("%s\nwas  %#v\nnow  %#v, %v", written, value, again, err)
		}
		if readable, err := JSON(value); err != nil || !json.Valid(readable) {
			t.Fatalf("%#v is not JSON: %s, %v", value, readable, err)
		}
	})
}

// FuzzArguments is FuzzDecode for the arguments of a call.
func FuzzArguments(f *testing.F) {
	for _, text := range []string{"e30=", "eyJ0aW1lb3V0Ijp7InYiOiJpbnRlZ2VyIiwiYyI6NX19", "eyJ0aW1lb3V0Ijo1fQ=="} {
		f.Add("0.6", text)
		f.Add("3", text)
	}
	f.Fuzz(func(t *testing.T, release, text string) {
		version, err := ParseVersion(release)
		if err != nil {
			return
		}
		arguments, err := version.DecodeArguments(text)
		if err != nil {
			return
		}
		written, err := version.EncodeArguments(arguments)
		if err != nil {
			return // escapes may have made them too long
		}
		again, err := version.DecodeArguments(written)
		if err != nil || !reflect.DeepEqual(again, arguments) {
			t.Fatalf("%s\nwas  %#v\nnow  %#v, %v", written, arguments, again, err)
		}
	})
}

// FuzzOutput checks that the result is a value, and does not depend on how the output is split into writes.
func FuzzOutput(f *testing.F) {
	f.Add("0.6", []byte("log\n"+helloLine+"\n"), uint8(3))
	f.Add("3", []byte("[OUTPUT] MA==\nbnVsbA==\n"), uint8(1))
	f.Add("1", []byte("[OUT\nMA==\r\n"), uint8(7))
	f.Fuzz(func(t *testing.T, release string, text []byte, size uint8) {
		version, err := ParseVersion(release)
		if err != nil {
			return
		}
		whole, pieces := &Output{Version: version}, &Output{Version: version}
		_, _ = whole.Write(text) // never fails
		for rest := text; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			_, _ = pieces.Write(rest[:n]) // never fails
			rest = rest[n:]
		}
		one, oneErr := whole.Result()
		two, twoErr := pieces.Result()
		if !bytes.Equal(one, two) || (oneErr == nil) != (twoErr == nil) {
			t.Fatalf("in one write %q, %v; in pieces %q, %v", one, oneErr, two, twoErr)
		}
		if oneErr == nil {
			if _, err := version.Decode(one); err != nil {
				t.Fatal(err)
			}
		}
	})
}

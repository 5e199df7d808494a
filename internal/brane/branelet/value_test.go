package branelet

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// golden is a value with its encoding in Brane.
type golden struct {
	version Version
	value   Value
	json    string
	base64  string // of the value alone; empty if not recorded
}

func file(url string) Struct {
	return Struct{Class: FileType, Properties: map[string]Value{"url": String(url)}}
}

var goldens = map[string]golden{
	"an integer":             {V06, Integer(42), `{"v":"integer","c":42}`, "eyJ2IjoiaW50ZWdlciIsImMiOjQyfQ=="},
	"a real":                 {V06, Real(1.5), `{"v":"real","c":1.5}`, "eyJ2IjoicmVhbCIsImMiOjEuNX0="},
	"a real that is whole":   {V06, Real(3), `{"v":"real","c":3.0}`, "eyJ2IjoicmVhbCIsImMiOjMuMH0="},
	"a boolean":              {V06, Boolean(true), `{"v":"boolean","c":true}`, "eyJ2IjoiYm9vbGVhbiIsImMiOnRydWV9"},
	"a string":               {V06, String("Hello, world!"), `{"v":"unicode","c":"Hello, world!"}`, "eyJ2IjoidW5pY29kZSIsImMiOiJIZWxsbywgd29ybGQhIn0="},
	"unit":                   {V06, Unit{}, `{"v":"unit"}`, "eyJ2IjoidW5pdCJ9"},
	"an integer of zero":     {V06, Integer(0), `{"v":"integer","c":0}`, "eyJ2IjoiaW50ZWdlciIsImMiOjB9"},
	"an array":               {V06, Array{"integer", []Value{Integer(1), Integer(2)}}, `{"v":"array","c":{"type":"integer[]","entries":[{"v":"integer","c":1},{"v":"integer","c":2}]}}`, ""},
	"a file":                 {V06, file("/data/x.txt"), `{"v":"struct","c":{"type":"File","properties":{"url":{"v":"unicode","c":"/data/x.txt"}}}}`, ""},
	"a plain integer":        {V3, Integer(42), `42`, ""},
	"a plain real":           {V3, Real(3), `3.0`, ""},
	"a plain boolean":        {V3, Boolean(true), `true`, ""},
	"a plain string":         {V3, String("a"), `"a"`, ""},
	"a plain greeting":       {V1, String("Hello, world!"), `"Hello, world!"`, "IkhlbGxvLCB3b3JsZCEi"},
	"a plain zero":           {V2, Integer(0), `0`, "MA=="},
	"nothing":                {V3, Unit{}, `null`, "bnVsbA=="},
	"a plain array":          {V3, Array{"integer", []Value{Integer(1), Integer(2)}}, `[1,2]`, ""},
	"an instance":            {V3, Struct{"Jedi", map[string]Value{"name": String("L")}}, `["Jedi",{"name":"L"}]`, ""},
	"a dataset":              {V3, Data("jedis"), `"Data<jedis>"`, ""},
	"an intermediate result": {V3, IntermediateResult("result_1"), `"IntermediateResult<result_1>"`, ""},
}

func TestEveryGoldenIsReadAndWritten(t *testing.T) {
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			written, err := g.version.Encode(g.value)
			if err != nil || string(written) != g.json {
				t.Errorf("written %s, %v\nwant    %s", written, err, g.json)
			}
			if encoded := base64.StdEncoding.EncodeToString(written); g.base64 != "" && encoded != g.base64 {
				t.Errorf("got  %s\nwant %s", encoded, g.base64)
			}
			read, err := g.version.Decode([]byte(g.json))
			if err != nil || !reflect.DeepEqual(read, g.value) {
				t.Errorf("read %#v, %v\nwant %#v", read, err, g.value)
			}
		})
	}
}

// What Brane's parser accepts but never writes.
func TestDecodeIsAsTolerantAsBrane(t *testing.T) {
	for name, tt := range map[string]struct {
		version Version
		json    string
		want    Value
	}{
		"keys in any order":                        {V06, `{"c":42,"v":"integer"}`, Integer(42)},
		"unknown keys":                             {V06, `{"v":"integer","c":42,"x":[1]}`, Integer(42)},
		"a real without a fraction":                {V06, `{"v":"real","c":3}`, Real(3)},
		"a unit with null":                         {V06, `{"v":"unit","c":null}`, Unit{}},
		"space around":                             {V04, " {\"v\" : \"unit\"}\n", Unit{}},
		"the largest integer":                      {V05, `{"v":"integer","c":9223372036854775807}`, Integer(math.MaxInt64)},
		"a plain integer beyond 64 bits":           {V1, `9223372036854775808`, Real(9223372036854775808)},
		"a plain integer is no real":               {V1, `3`, Integer(3)},
		"two entries that are no instance":         {V1, `["a","b"]`, Array{"string", []Value{String("a"), String("b")}}},
		"an empty list, of which no type is known": {V1, `[]`, Array{"any", []Value{}}},
		"a list of lists":                          {V1, `[[1],[]]`, Array{"integer[]", []Value{Array{"integer", []Value{Integer(1)}}, Array{"any", []Value{}}}}},
		"a name that only begins like a dataset":   {V1, `"Data<x"`, String("Data<x")},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := tt.version.Decode([]byte(tt.json)); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %#v, %v\nwant %#v", got, err, tt.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	const tagged, plain = "read a value of Brane 0.6: ", "read a value of Brane 3: "
	for name, tt := range map[string]struct {
		version    Version
		json, want string
	}{
		"a kind in capitals":             {V06, `{"v":"Integer","c":1}`, tagged + `unknown kind "Integer"`},
		"a real for an integer":          {V06, `{"v":"integer","c":3.0}`, tagged + "an integer must be a whole number of 64 bits"},
		"an integer beyond 64 bits":      {V06, `{"v":"integer","c":9223372036854775808}`, tagged + "an integer must be a whole number of 64 bits"},
		"a value without content":        {V06, `{"v":"integer"}`, tagged + `a value of kind "integer" has no "c" (its content)`},
		"a real that is null, as NaN is": {V06, `{"v":"real","c":null}`, tagged + `the content of a value of kind "real" has the wrong type`},
		"a unit with content":            {V06, `{"v":"unit","c":1}`, tagged + "a unit must not have content"},
		"a pointer":                      {V06, `{"v":"pointer","c":{"type":"T","variable":"N","secret":false}}`, tagged + `a value of kind "pointer" cannot be used outside of Brane`},
		"a value without a tag":          {V06, `42`, tagged + `a value must be an object with "v" and "c"`},
		"an object without a tag":        {V06, `{"c":1}`, tagged + `a value has no "v" (its kind)`},
		"an array without its type":      {V06, `{"v":"array","c":{"entries":[]}}`, tagged + `an array has no "type" that ends in [], or no "entries"`},
		"a bad entry":                    {V06, `{"v":"array","c":{"type":"real[]","entries":[{"v":"unit"},{"v":"x","c":1}]}}`, tagged + `entry 1: unknown kind "x"`},
		"a struct without properties":    {V06, `{"v":"struct","c":{"type":"File"}}`, tagged + `a struct has no "type" or no "properties"`},
		"a bad property":                 {V06, `{"v":"struct","c":{"type":"File","properties":{"url":1}}}`, tagged + `property "url" of a File: a value must be an object with "v" and "c"`},
		"a plain object":                 {V3, `{"name":"L"}`, plain + "an object is not a value"},
		"a number beyond 64 bits":        {V3, `1e999`, plain + "a real does not fit into 64 bits"},
		"two values":                     {V3, `1 2`, plain + "unexpected data after the value"},
		"no JSON, which is not repeated": {V3, `"geheim`, plain + "invalid JSON"},
		"a syntax error":                 {V3, `[1,]`, plain + "invalid JSON at byte 4"},
		"no UTF-8":                       {V3, "\"\xff\"", plain + "invalid UTF-8"},
		"a deep nest":                    {V3, strings.Repeat("[", 200) + strings.Repeat("]", 200), plain + strings.Repeat("entry 0: ", 129) + "it has more levels than 128"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tt.version.Decode([]byte(tt.json)); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		version Version
		value   Value
		want    string
	}{
		"what is no number":            {V06, Real(math.NaN()), "write a value for Brane 0.6: a real must be finite"},
		"infinity":                     {V3, Array{"real", []Value{Real(math.Inf(1))}}, "write a value for Brane 3: entry 0: a real must be finite"},
		"a string that is not UTF-8":   {V3, String("\xff"), "write a value for Brane 3: a string is not valid UTF-8"},
		"nothing at all":               {V06, nil, "write a value for Brane 0.6: missing value"},
		"a dataset, before there were": {V06, Data("x"), "write a value for Brane 0.6: unsupported type Data"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tt.version.Encode(tt.value); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestFilesAreNamedByTheirPathInTheRun(t *testing.T) {
	for name, tt := range map[string]struct {
		value Value
		want  string
	}{
		"as an argument":     {V06.File("in/x.txt"), "in/x.txt"},
		"a folder":           {V05.Directory("in"), "in"},
		"as a URL":           {file("file:///data/x.txt"), "x.txt"},
		"elsewhere":          {file("/tmp/x.txt"), ""},
		"of another class":   {Struct{"Jedi", map[string]Value{"url": String("/data/x")}}, ""},
		"without a location": {Struct{FileType, nil}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			value, _ := tt.value.(Struct)
			if got, _ := value.Path(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := V1.File("in/x.txt"); got != String("/data/in/x.txt") {
		t.Errorf("Brane 1 is given %#v", got)
	}
}

func TestResultsBecomeArgumentsOfOtherVersions(t *testing.T) {
	many := Array{"File", []Value{file("/data/a"), file("/data/b")}}
	for name, tt := range map[string]struct {
		value Value
		to    Version
		want  Value
	}{
		"a file stays one":         {file("/data/a"), V06, file("/data/a")},
		"a file becomes its path":  {file("/data/a"), V1, String("/data/a")},
		"files become their paths": {many, V3, Array{"string", []Value{String("/data/a"), String("/data/b")}}},
		"a file within a struct":   {Struct{"Pair", map[string]Value{"left": file("/data/a"), "n": Integer(1)}}, V1, Struct{"Pair", map[string]Value{"left": String("/data/a"), "n": Integer(1)}}},
		"what a task has left":     {IntermediateResult("r"), V3, String("/data/r")},
		"a dataset":                {Data("d"), V3, String("/data/d")},
		"a scalar":                 {Real(1), V1, Real(1)},
		"a list of nothing":        {Array{"File", nil}, V1, Array{"File", []Value{}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.to.For(tt.value); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %#v\nwant %#v", got, tt.want)
			}
		})
	}
}

func TestAccepts(t *testing.T) {
	for name, tt := range map[string]struct {
		version             Version
		parameter, argument string
		want                bool
	}{
		"the same":                         {V06, "integer", "integer", true},
		"an integer is no real":            {V06, "real", "integer", false},
		"a mount is anything":              {V06, "mount", "string", true},
		"a folder is no file":              {V06, "File", "Directory", false},
		"another name of the same":         {V1, "int", "integer", true},
		"another name of the same array":   {V1, "[bool]", "boolean[]", true},
		"a dataset is given as its path":   {V1, "Data", "string", true},
		"so is each of several":            {V1, "IntermediateResult[]", "string[]", true},
		"a dataset is no number":           {V1, "Data", "integer", false},
		"an empty list fits every array":   {V1, "real[]", "any[]", true},
		"a list is no scalar":              {V1, "real", "real[]", false},
		"aliases are unknown to Brane 0.6": {V06, "int", "integer", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.version.Accepts(tt.parameter, tt.argument); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestJSONIsForEverybody(t *testing.T) {
	for name, tt := range map[string]struct {
		value Value
		want  string
	}{
		"an integer of 64 bits":  {Integer(math.MinInt64), "-9223372036854775808"},
		"a real that is whole":   {Real(3), "3.0"},
		"unit":                   {Unit{}, "null"},
		"a string, not ASCII":    {String("naïve <日本>"), `"naïve <日本>"`},
		"an array":               {Array{"boolean", []Value{Boolean(true), Boolean(false)}}, "[true,false]"},
		"a struct with a file":   {Struct{"Field", map[string]Value{"title": String("M 31"), "image": file("/data/sky/m31.png")}}, `{"image":"sky/m31.png","title":"M 31"}`},
		"a folder":               {V06.Directory("sky"), `"sky"`},
		"a file elsewhere":       {file("/tmp/x"), `{"url":"/tmp/x"}`},
		"files":                  {Array{"File", []Value{file("/data/a"), file("file:///data/b")}}, `["a","b"]`},
		"a dataset":              {Data("jedis"), `"jedis"`},
		"an intermediate result": {IntermediateResult("r"), `"r"`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := JSON(tt.value); err != nil || string(got) != tt.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
	if _, err := JSON(Array{"string", []Value{String("\xff")}}); fmt.Sprint(err) != "a string is not valid UTF-8" {
		t.Errorf("got %v", err)
	}
}

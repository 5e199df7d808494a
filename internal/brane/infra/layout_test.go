package infra

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// Parts of configuration files: values of unknown keys, text between entries, and forms of a location.
var (
	someValues = []string{
		"1", "~", "", "'it''s'", "\"a\\tb\"", "plain\n  over lines", "\"quoted\n  # no comment\n  over lines\"", "|\n  literal", "|\n  literal\n\n  # no comment", "|+\n  kept\n\n",
		"|-\n  stripped", ">\n  folded\n  lines\n\n    deeper\n   ", ">+\n  folded\n\n", "|2\n    deeper", "|\n", "[a, {b: c}]", "{a: b,\n  c: d}", "\n- 1\n- - 2", "&anchor x", "!tag x", "\n  a: b # c",
		"|\n  literal\n     \n", "'#'", "x # comment", "\n  # above\n  a: 1\n  # below", "\n\n  a: 1\n",
	}
	someGaps      = []string{"", "", "", "\n", "# comment\n", "  # indented comment\n", "     # deeply indented comment\n", "\n# after a blank line\n\n", "   \n", "\t\n", "\n\n\n"}
	someLocations = []string{
		"{kind: local, callback_to: c, network: n, registry: r}",
		"\n    kind: local\n    callback_to: c\n    network: n\n    registry: r",
		"\n    # first\n    kind: local # of ours\n\n    callback_to: >-\n      c\n    network: n\n    registry: r\n    # last",
		"\n      kind: local\n      callback_to: c\n      network: n\n      registry: r\n      notes: ",
		"\n    kind: kube\n    address: h:1\n    callback_to: c\n    namespace: n\n    registry: r\n    credentials: {mechanism: config, file: YQ==}\n    unknown: ",
	}
	someNames = []string{"amy", "12", `"quoted name"`, "'single'", "~", "true", "mine", "b c"}
)

// someLayout returns infra.yml with a random layout, which Brane may refuse.
func someLayout(r *rand.Rand) string {
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	var b strings.Builder
	entry := func(indent, key, value string) {
		text := key + ": " + value
		if strings.HasSuffix(text, ": ") && r.IntN(2) == 0 {
			text += strings.ReplaceAll(pick(someValues), "\n", "\n    ")
		}
		b.WriteString(indent + strings.ReplaceAll(text, "\n", "\n"+indent) + "\n" + pick(someGaps))
	}
	b.WriteString(pick([]string{"", "", "", "---\n", "%YAML 1.1\n---\n", "# head\n", "\n"}))
	for i := range r.IntN(3) {
		entry("", "before"+strconv.Itoa(i), pick(someValues))
	}
	if r.IntN(4) == 0 {
		entry("", "locations", pick([]string{"{}", "{ }", " {}", "{} # none", "&a {}", "!!map {}", "{amy: {kind: local, callback_to: c, network: n, registry: r}}", "\n  {}"}))
	} else {
		b.WriteString(pick([]string{"locations:", "locations: # comment", `"locations":`, "locations : ", "locations: &l", "locations: !!map"}) + "\n" + pick(someGaps))
		indent := pick([]string{" ", "  ", "    "})
		for range 1 + r.IntN(3) {
			value := pick(someLocations)
			if strings.HasSuffix(value, ": ") {
				value += strings.ReplaceAll(pick(someValues), "\n", "\n      ")
			}
			entry(indent, pick(someNames), value)
		}
	}
	for i := range r.IntN(3) {
		entry("", "after"+strconv.Itoa(i), pick(someValues))
	}
	text := b.String() + pick([]string{"", "", "...\n", "..."})
	if r.IntN(3) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return strings.NewReplacer("\n", pick([]string{"\n", "\n", "\n", "\r\n", "\r"})).Replace(text)
}

func TestEditsAnyLayout(t *testing.T) {
	const outside = "# after a blank line" // never part of an entry
	random := rand.New(rand.NewPCG(3, 4))
	refused := 0
	for range 2000 {
		text := someLayout(random)
		d, err := ParseInfra([]byte(text))
		if err != nil {
			continue
		}
		l := berlin
		l.Name = "mine"
		_, exists := d.Location(l.Name)
		if err := d.Set(l); err != nil {
			refused++
			continue
		}
		set := d.Bytes()
		if strings.Count(string(set), outside) != strings.Count(text, outside) {
			t.Error("a comment outside of the entry was changed")
		}
		if !exists {
			wantSecondReading(t, []byte(text), set, l)
			if err := d.Remove(l.Name); err != nil {
				t.Error(err)
			}
			wantRestored(t, parse(t, []byte(text)).document, d.document)
		}
		for _, name := range d.Names() {
			if err := d.Remove(name); err != nil {
				refused++
			}
		}
		if t.Failed() {
			t.Fatalf("before\n%q\nwith the location\n%q", text, set)
		}
	}
	if refused > 10 {
		t.Errorf("%d edits were refused", refused)
	}
}

// TestKeepsLineBreaksAndByteOrderMark edits files with unusual line breaks or first bytes.
func TestKeepsLineBreaksAndByteOrderMark(t *testing.T) {
	const one = "locations:\n  a: {kind: local, callback_to: c, network: n, registry: r}\n"
	const ours = "  kube:\n    kind: kube\n    address: 203.0.113.7:6443\n    callback_to: http://198.51.100.10:50052\n    namespace: brane\n" +
		"    registry: 198.51.100.10:50050\n    mount_dfs: redis://198.51.100.10\n    credentials:\n      mechanism: config\n      file: s$kube\n"
	replace := func(text, lineBreak string) string { return strings.ReplaceAll(text, "\n", lineBreak) }
	for name, tt := range map[string]struct{ text, want string }{
		"LF":                                   {one, one + ours},
		"CR LF":                                {replace(one, "\r\n"), replace(one+ours, "\r\n")},
		"CR":                                   {replace(one, "\r"), replace(one+ours, "\r")},
		"CR LF and a block scalar at the end":  {replace(one+"x: |+\n  kept\n\n", "\r\n"), replace(one+ours+"x: |+\n  kept\n\n", "\r\n")},
		"CR LF and no final line break":        {replace(one, "\r\n") + "x: 1", replace(one+ours, "\r\n") + "x: 1"},
		"no final line break":                  {strings.TrimSuffix(one, "\n"), strings.TrimSuffix(one+ours, "\n")},
		"CR LF in flow style":                  {"{locations: {}, x: 1}\r\n", `{locations: {"kube": ` + oursInFlow + "}, x: 1}\r\n"},
		"a kept block scalar before":           {one + "      \n", one + ours + "      \n"},
		"CR LF and comments, nothing else":     {"# later\r\n", "# later\r\n" + replace("locations:\n"+ours, "\r\n")},
		"comments without a final line break":  {"# later", "# later\nlocations:\n" + strings.TrimSuffix(ours, "\n")},
		"a location after the end of document": {one + "...\n", one + ours + "...\n"},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := parseFiles([]byte(tt.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			d := files.Infra
			if err := d.Set(golden); err != nil {
				t.Fatal(err)
			}
			if got := string(d.Bytes()); got != tt.want {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
		})
	}
}

const oursInFlow = `{"kind": "kube", "address": "203.0.113.7:6443", "callback_to": "http://198.51.100.10:50052", "namespace": "brane", ` +
	`"registry": "198.51.100.10:50050", "mount_dfs": "redis://198.51.100.10", "credentials": {"mechanism": "config", "file": "s$kube"}}`

func TestJSONStaysJSON(t *testing.T) {
	for name, text := range seeds(t, "infra/json*.yml") {
		d := parse(t, text)
		if err := d.Set(golden); err != nil || !json.Valid(d.Bytes()) {
			t.Errorf("%s: %v\n%s", name, err, d.Bytes())
		}
	}
}

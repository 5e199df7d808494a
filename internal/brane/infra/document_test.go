package infra

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

var berlin = Location{
	Name: "berlin-2", Address: "203.0.113.8:6443", CallbackTo: "http://198.51.100.10:50052", Namespace: "brane-2",
	Registry: "198.51.100.10:50050", MountDFS: "redis://198.51.100.10",
}

// golden is the location in the first Brane manual.
var golden = Location{
	Name: "kube", Kind: "kube", Address: "203.0.113.7:6443", CallbackTo: "http://198.51.100.10:50052", Namespace: "brane",
	Registry: "198.51.100.10:50050", MountDFS: "redis://198.51.100.10", SecretName: "kube",
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// seeds returns the files that match a pattern; at least one must.
func seeds(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no seeds match %s (%v)", pattern, err)
	}
	found := map[string][]byte{}
	for _, name := range names {
		found[name] = read(t, strings.TrimPrefix(name, "testdata/"))
	}
	return found
}

func parse(t testing.TB, data []byte) *Infra {
	t.Helper()
	d, err := ParseInfra(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWritesTheGoldenFile(t *testing.T) {
	d := NewInfra()
	if err := d.Set(golden); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(string(read(t, "infra/golden.yml")), "# infra.yml\n")
	if got := string(d.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, ok := d.Location("kube"); !ok || got != golden {
		t.Errorf("got %+v", got)
	}
	if err := d.Remove("kube"); err != nil {
		t.Fatal(err)
	}
	if got := string(d.Bytes()); got != "locations: {}\n" {
		t.Errorf("after the last location has gone: %q", got)
	}
}

func TestReadsWhatBraneReads(t *testing.T) {
	kube := string(read(t, "infra/golden.yml"))
	for name, tt := range map[string]struct {
		document string
		want     func(*Location)
	}{
		"the golden document":                 {kube, func(*Location) {}},
		"unknown keys at every level":         {strings.ReplaceAll(kube, "    kind: kube\n", "    kind: kube\n    x: {y: 1}\n") + "      more: true\nother: [1]\n", func(*Location) {}},
		"no mount by null":                    {strings.Replace(kube, "redis://198.51.100.10", "~", 1), func(l *Location) { l.MountDFS = "" }},
		"no mount by an empty value":          {strings.Replace(kube, "mount_dfs: redis://198.51.100.10", "mount_dfs:", 1), func(l *Location) { l.MountDFS = "" }},
		"a number in quotes":                  {strings.Replace(kube, "namespace: brane", `namespace: "123"`, 1), func(l *Location) { l.Namespace = "123" }},
		"what only Go takes for a number":     {strings.Replace(kube, "namespace: brane", `namespace: 1_000`, 1), func(l *Location) { l.Namespace = "1_000" }},
		"what only Go takes for a date":       {strings.Replace(kube, "namespace: brane", `namespace: 2001-01-01`, 1), func(l *Location) { l.Namespace = "2001-01-01" }},
		"leading zeros":                       {strings.Replace(kube, "namespace: brane", `namespace: 007`, 1), func(l *Location) { l.Namespace = "007" }},
		"a literal kubeconfig":                {strings.Replace(kube, "s$kube", "YQ==", 1), func(l *Location) { l.SecretName = "" }},
		"of two locations of a name the last": {strings.Replace(kube, "locations:\n", "locations:\n  kube: {kind: local, callback_to: c, network: n, registry: r}\n", 1), func(*Location) {}},
	} {
		t.Run(name, func(t *testing.T) {
			want := golden
			tt.want(&want)
			if got, ok := parse(t, []byte(tt.document)).Location("kube"); !ok || got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestRefusesWhatBraneRefuses(t *testing.T) {
	kube := strings.TrimPrefix(string(read(t, "infra/golden.yml")), "# infra.yml\n")
	replaced := func(from, to string) string { return strings.Replace(kube, from, to, 1) }
	for name, tt := range map[string]struct{ document, want string }{
		"nothing":                   {"", `infra.yml: the file is empty; without locations, write: locations: {}`},
		"a comment":                 {"# later\n", `infra.yml: the file is empty; without locations, write: locations: {}`},
		"null":                      {"---\n", `infra.yml:2:1: the file must be a mapping with the key locations`},
		"locations without a value": {"locations:\n", `infra.yml:1:1: locations is not a mapping; without locations, write: locations: {}`},
		"no locations":              {"location: {}\n", `infra.yml:1:1: the key locations is missing; without locations, write: locations: {}`},
		"locations twice":           {"locations: {}\nlocations: {}\n", `infra.yml:2:1: duplicate key locations in the file`},
		"kind with a capital":       {replaced("kind: kube", "kind: Kube"), `infra.yml:3:11: unsupported kind "Kube" in location "kube"; Brane supports kube, local, slurm and vm`},
		"no kind":                   {replaced("    kind: kube\n", ""), `infra.yml:2:3: missing kind in location "kube"`},
		"no registry":               {replaced("    registry: 198.51.100.10:50050\n", ""), `infra.yml:2:3: missing registry in location "kube"`},
		"no value":                  {replaced("registry: 198.51.100.10:50050", "registry:"), `infra.yml:7:14: registry of location "kube" has no value`},
		"a namespace that is a number": {replaced("namespace: brane", "namespace: 123"),
			`infra.yml:6:16: namespace of location "kube" must be a string, but without quotes it is read as type integer; put it in quotes`},
		"a namespace that is a float": {replaced("namespace: brane", "namespace: 1.10"),
			`infra.yml:6:16: namespace of location "kube" must be a string, but without quotes it is read as type float; put it in quotes`},
		"a mount that is a boolean": {replaced("mount_dfs: redis://198.51.100.10", "mount_dfs: false"),
			`infra.yml:8:16: mount_dfs of location "kube" must be a string, but without quotes it is read as type boolean; put it in quotes`},
		"a list for a string":         {replaced("namespace: brane", "namespace: [brane]"), `infra.yml:6:16: namespace of location "kube" must be a string`},
		"a key twice":                 {replaced("    namespace: brane\n", "    namespace: brane\n    namespace: brane\n"), `infra.yml:7:5: duplicate key namespace in location "kube"`},
		"mechanism with a capital":    {replaced("mechanism: config", "mechanism: Config"), `infra.yml:10:18: unsupported mechanism "Config" in credentials of location "kube"; Brane supports config, ssh-certificate and ssh-password`},
		"no file":                     {replaced("      file: s$kube\n", ""), `infra.yml:9:5: missing file in credentials of location "kube"`},
		"two documents":               {kube + "---\nlocations: {}\n", `infra.yml:12:1: a second YAML document begins here; Brane only reads files with one document`},
		"a tab":                       {replaced("    kind", "\tkind"), `infra.yml:3:2: found character that cannot start any token`},
		"an open quote":               {replaced("brane", `"brane`), `infra.yml:6:5: found unexpected end of stream`},
		"an unknown anchor":           {replaced("brane", `*x`), `infra.yml:6:16: unknown anchor 'x' referenced`},
		"a control character":         {replaced("brane", "br\x01ane"), `infra.yml:6:5: control characters are not allowed; remove the character, or write it as an escape in double quotes`},
		"another directive":           {"%FOO bar\n---\n" + kube, `infra.yml:1:1: found unknown directive name; remove the line that begins with %, which Brane does not need`},
		"no space before a brace":     {"locations: {a:{kind: local}}\n", `infra.yml:1:1: did not find expected ',' or '}'; inside of {…}, write a space after each colon, or write each key on a separate line`},
		"a line separator":            {replaced("brane", "br\u2028ane"), `infra.yml:6:18: the character U+2028 is a line break for some YAML readers only; remove it or write it as an escape in double quotes`},
		"a next line in a comment":    {kube + "# x\u0085\n", `infra.yml:12:4: the character U+0085 is a line break for some YAML readers only; remove it or write it as an escape in double quotes`},
		"a byte order mark":           {"\uFEFF" + kube, `infra.yml:1:1: the file begins with a byte order mark, which Brane takes for a part of the first key; save it as UTF-8 without a byte order mark`},
		"a byte order mark alone":     {"\uFEFF", `infra.yml:1:1: the file begins with a byte order mark, which Brane takes for a part of the first key; save it as UTF-8 without a byte order mark`},
		"another version of YAML":     {"%YAML 1.2\n---\n" + kube, `infra.yml:1:1: found incompatible YAML document; remove the line %YAML, which Brane does not need`},
		"no UTF-8":                    {replaced("brane", "br\xffane"), `infra.yml:6:18: invalid UTF-8`},
		"another's location is wrong": {"locations:\n  a: {kind: vm}\n" + strings.TrimPrefix(kube, "locations:\n"), `infra.yml:2:3: missing address in location "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseInfra([]byte(tt.document))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if !errors.Is(err, ErrUnparsable) {
				t.Errorf("%v is no ErrUnparsable", err)
			}
		})
	}
}

func TestEditsOneLocation(t *testing.T) {
	for name, document := range seeds(t, "infra/*.yml") {
		t.Run(name, func(t *testing.T) {
			d := parse(t, document)
			if err := d.Set(berlin); err != nil {
				t.Fatal(err)
			}
			if got, _ := d.Location(berlin.Name); got.Diff(berlin) != nil {
				t.Errorf("written %v\n%s", got.Diff(berlin), d.Bytes())
			}
			if err := d.Remove(berlin.Name); err != nil {
				t.Fatal(err)
			}
			wantRestored(t, parse(t, document).document, d.document)
		})
	}
}

// wantRestored checks that a file is the same after an entry was added and removed: every byte, or every entry if the entries are in flow style, as the
// file was encoded again then.
func wantRestored(t *testing.T, before, after *document) {
	t.Helper()
	if bytes.Equal(before.Bytes(), after.Bytes()) {
		return
	}
	key, m := before.entriesMapping()
	inFlow := m.Style&yaml.FlowStyle != 0
	if open := before.nodeOffset(m); key != nil && key.Line == m.Line && bytes.HasPrefix(before.data[max(open-2, 0):], []byte(": {}")) {
		inFlow = before.root.Style&yaml.FlowStyle != 0
	}
	if !inFlow || !slices.EqualFunc(entriesOf(before.withFinalBreak().root), entriesOf(after.withFinalBreak().root), isSameEntry) {
		t.Errorf("before\n%q\nafter an entry was added and removed\n%q", before.Bytes(), after.Bytes())
	}
}

// TestEditsTheCrowdedFile compares edited.yml with crowded.yml after several edits.
func TestEditsTheCrowdedFile(t *testing.T) {
	d := parse(t, read(t, "infra/crowded.yml"))
	changed := berlin
	changed.Name = "berlin"
	vm := berlin
	vm.Name = "oslo"
	for _, l := range []Location{vm, changed} {
		if err := d.Set(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Remove("amy"); err != nil {
		t.Fatal(err)
	}
	if want := read(t, "edited.yml"); string(d.Bytes()) != string(want) {
		t.Errorf("got\n%s", d.Bytes())
	}
}

func TestChangesOnlyTheKeysThatDiffer(t *testing.T) {
	const document = `locations:
  kube: # ours
    extra: 1   # reason unknown
    notes: >
      two

      lines
    address:   "203.0.113.7:6443"   # the old one
    kind: 'kube'
    callback_to: http://198.51.100.10:50052
    namespace: >-
      brane
    registry: r.example.org:5000
    proxy_address: p:1
    # how it gets in
    credentials: {"mechanism": config, file: s$old, more: [1]}
  other: {kind: local, callback_to: c, network: n, registry: r}
`
	const want = `locations:
  kube: # ours
    extra: 1   # reason unknown
    notes: >
      two

      lines
    address: 203.0.113.8:6443 # the old one
    kind: 'kube'
    callback_to: http://198.51.100.10:50052
    namespace: brane-2
    registry: 198.51.100.10:50050
    mount_dfs: redis://198.51.100.10
    # how it gets in
    credentials:
      "mechanism": config
      file: s$kube
      more: [1]
  other: {kind: local, callback_to: c, network: n, registry: r}
`
	l := berlin
	l.Name = "kube"
	d := parse(t, []byte(document))
	if err := d.Set(l); err != nil {
		t.Fatal(err)
	}
	if got := string(d.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := d.Set(l); err != nil || string(d.Bytes()) != want {
		t.Errorf("a second time: %v\n%s", err, d.Bytes())
	}
}

// TestKeepsCommentsBetweenKeys edits a location with a comment and a blank line above each of its keys.
func TestKeepsCommentsBetweenKeys(t *testing.T) {
	before := string(read(t, "infra/commented.yml"))
	l := berlin
	l.Name, l.SecretName = "template", "brane-config"
	d := parse(t, []byte(before))
	if err := d.Set(l); err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("<server>:6443", l.Address, "namespace: default", "namespace: brane-2", `"<host>:50050"`, l.Registry, `"http://<host>:50052"`, l.CallbackTo,
		`"redis://<host>"`, l.MountDFS).Replace(before)
	if got := string(d.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	l.MountDFS = ""
	if err := d.Set(l); err != nil {
		t.Fatal(err)
	}
	if got, want := string(d.Bytes()), strings.Replace(want, "    mount_dfs: redis://198.51.100.10\n", "", 1); got != want {
		t.Errorf("without mount_dfs, got\n%s\nwant\n%s", got, want)
	}
}

// TestRewritesAnEntry edits a location with a key that has no line of its own.
func TestRewritesAnEntry(t *testing.T) {
	const rest = "    kind: kube\n    callback_to: http://198.51.100.10:50052\n    namespace: brane\n    registry: 198.51.100.10:50050\n    mount_dfs: redis://198.51.100.10\n"
	const credentials = "    credentials:\n      mechanism: config\n      file: s$kube\n"
	d := parse(t, []byte("locations:\n  kube:\n    ? address\n    : h:1\n    notes: >\n      two\n\n      lines\n\n"+rest+credentials))
	if err := d.Set(golden); err != nil {
		t.Fatal(err)
	}
	if got, want := string(d.Bytes()), "locations:\n  kube:\n    address: 203.0.113.7:6443\n    notes: |\n      two\n      lines\n"+rest+credentials; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReplacesALocationOfAnotherKind(t *testing.T) {
	d := parse(t, []byte("locations:\n  kube:\n    kind: vm\n    address: a\n    callback_to: c\n    runtime: docker\n    registry: r\n    credentials: {mechanism: ssh-password, username: u, password: p}\n"))
	if err := d.Set(golden); err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(string(read(t, "infra/golden.yml")), "# infra.yml\n"); string(d.Bytes()) != want {
		t.Errorf("got\n%s", d.Bytes())
	}
}

func TestRemovesADuplicateLocation(t *testing.T) {
	const one = "  kube: {kind: local, callback_to: c, network: n, registry: r}\n"
	d := parse(t, []byte("locations:\n"+one+"  b: {kind: local, callback_to: c, network: n, registry: r}\n"+one))
	if err := d.Remove("kube"); err != nil {
		t.Fatal(err)
	}
	if got := string(d.Bytes()); got != "locations:\n  b: {kind: local, callback_to: c, network: n, registry: r}\n" {
		t.Errorf("got\n%s", got)
	}
}

func TestRefusesToRemoveAReferencedLocation(t *testing.T) {
	const one, other = "{kind: local, callback_to: c, network: n, registry: r}", "{kind: local, callback_to: d, network: n, registry: r}"
	refused := `remove location "kube" from infra.yml: ` + errShape.Error()
	for name, tt := range map[string]struct{ document, want string }{
		"an anchor":                    {"locations:\n  kube: &k " + one + "\n  b: *k\n", refused + ": infra.yml:2:6: unknown anchor 'k' referenced"},
		"the second anchor of a name":  {"locations:\n  a: &k " + one + "\n  kube: &k " + other + "\n  b: *k\n", refused},
		"an anchor inside of it":       {"locations:\n  kube: {kind: local, callback_to: &c c, network: n, registry: r}\nb: [*c]\n", refused + ": infra.yml:2:5: unknown anchor 'c' referenced"},
		"an anchor in a file of flows": {"{locations: {kube: &k " + one + ", b: *k}}", refused + ": infra.yml:1:17: unknown anchor 'k' referenced"},
	} {
		t.Run(name, func(t *testing.T) {
			d := parse(t, []byte(tt.document))
			if err := d.Remove("kube"); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if string(d.Bytes()) != tt.document {
				t.Errorf("changed to\n%s", d.Bytes())
			}
		})
	}
}

func TestRemovesALocationFromAnAlias(t *testing.T) {
	const one = "{kind: local, callback_to: c, network: n, registry: r}\n"
	d := parse(t, []byte("a: &l\n  kube: "+one+"  b: "+one+"locations: *l\n"))
	if err := d.Remove("kube"); err != nil {
		t.Fatal(err)
	}
	if got, want := string(d.Bytes()), "a: &l\n  kube: "+one+"  b: "+one+"locations:\n  b: "+one; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReadsAnyLocationBack writes random valid locations into each of the files.
func TestReadsAnyLocationBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	documents := seeds(t, "infra/*.yml")
	documents["nothing"] = nil
	valid := 0
	for range 200 {
		l := anyLocation(random)
		if l.Validate() != nil {
			continue
		}
		valid++
		for name, document := range documents {
			files, err := parseFiles(document, nil)
			if err != nil {
				t.Fatal(err)
			}
			d := files.Infra
			before := d.Names()
			if err := d.Set(l); err != nil {
				t.Fatalf("%s: %+v: %v", name, l, err)
			}
			again := parse(t, d.Bytes())
			if got, ok := again.Location(l.Name); !ok || got.Diff(l) != nil {
				t.Fatalf("%s: wrote %+v, read %+v", name, l, got)
			}
			if after := again.Names(); len(after) == len(before)+1 && !slices.Equal(after[:len(before)], before) {
				t.Fatalf("%s: the names were %v and are %v", name, before, after)
			}
		}
	}
	if valid < 100 {
		t.Errorf("only %d of the locations were valid", valid)
	}
}

func anyLocation(r *rand.Rand) Location {
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	host := func() string {
		return pick("10.0.0.7", "h", "a.example.org", "[2001:db8::7]", "10", "1e3", "no", "x-1.y")
	}
	name := func() string {
		return pick("kube", "12", "0x1f", "true", "yes", "null", "1e5", "a_b.c-d", "A", "007", "1_000", "Off", "amy", "berlin", "2001-01-01", "1.5")
	}
	l := Location{
		Name: name(), Address: host() + pick(":6443", ":1", ":59"), CallbackTo: "http://" + host() + pick("", ":50052"),
		Namespace: pick("brane", "123", "1e5", "true", "on", "0b1", "007", "n", "null"), Registry: host() + pick(":50050", ":30", "/mirror"),
		ProxyAddress: pick("", host()+":1080", host()+":59"), MountDFS: pick("", "redis://"+host(), "redis://:p%40w@"+host()+":6379/1"),
		SecretName: pick("", name()),
	}
	return l
}

// FuzzOthersSurvive checks that setting our location and removing it again restores the user's bytes, comments and order included, and that another
// parser reads the same.
func FuzzOthersSurvive(f *testing.F) {
	for _, document := range seeds(f, "infra/*.yml") {
		f.Add(document, "mine")
	}
	f.Fuzz(func(t *testing.T, document []byte, name string) {
		d, err := ParseInfra(document)
		if err != nil {
			return
		}
		l := berlin
		l.Name = name
		_, exists := d.Location(name)
		if err := d.Set(l); err != nil {
			if string(d.Bytes()) != string(document) {
				t.Errorf("changed in spite of %v", err)
			}
			return
		}
		if got, ok := parse(t, d.Bytes()).Location(name); !ok || got.Diff(l) != nil {
			t.Errorf("wrote %+v, read %+v from\n%s", l, got, d.Bytes())
		}
		if exists {
			return
		}
		wantSecondReading(t, document, d.Bytes(), l)
		if err := d.Remove(name); err != nil {
			t.Fatalf("%v\n%q", err, document)
		}
		wantRestored(t, parse(t, document).document, d.document)
	})
}

// wantSecondReading checks an added location with another YAML parser.
func wantSecondReading(t *testing.T, before, after []byte, l Location) {
	t.Helper()
	if !bytes.HasSuffix(before, []byte("\n")) {
		before = append(bytes.Clone(before), '\n') // a block scalar at the end has one after an entry was added
	}
	var have, want struct{ Locations map[string]any }
	if err := sigsyaml.Unmarshal(before, &want); err != nil {
		return
	}
	if err := sigsyaml.Unmarshal(after, &have); err != nil {
		t.Fatalf("another parser cannot read it: %v\n%q\n%q", err, before, after)
	}
	if want.Locations == nil {
		want.Locations = map[string]any{}
	}
	want.Locations[l.Name] = map[string]any{
		"kind": "kube", "address": l.Address, "callback_to": l.CallbackTo, "namespace": l.Namespace, "registry": l.Registry, "mount_dfs": l.MountDFS,
		"credentials": map[string]any{"mechanism": "config", "file": "s$" + l.Name},
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("another parser reads\n%v\ninstead of\n%v\nfrom\n%q", have, want, after)
	}
}

// FuzzRemove checks that removing any location leaves a file that Brane reads, with all the others.
func FuzzRemove(f *testing.F) {
	for _, document := range seeds(f, "infra/*.yml") {
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := ParseInfra(document)
		if err != nil {
			if !errors.Is(err, ErrUnparsable) {
				t.Errorf("%v is no ErrUnparsable", err)
			}
			return
		}
		for names := d.Names(); len(names) > 0; names = names[1:] {
			if err := d.Remove(names[0]); err != nil {
				return
			}
			if got := parse(t, d.Bytes()).Names(); len(got) != len(names)-1 || len(got) > 0 && !slices.Equal(got, names[1:]) {
				t.Errorf("removed %q of %q, left %q", names[0], names, got)
			}
		}
	})
}

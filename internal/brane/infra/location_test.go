package infra

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestValidatesALocation(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Location)
		want   []string
	}{
		"the golden location": {func(*Location) {}, nil},
		"IPv6 everywhere": {func(l *Location) {
			l.Address, l.CallbackTo, l.MountDFS = "[2001:db8::1]:6443", "http://[2001:db8::1]:1", "redis://[2001:db8::1]"
		}, nil},
		"a registry with a path":           {func(l *Location) { l.Registry = "registry.example.org/mirror/brane" }, nil},
		"a mount with password and number": {func(l *Location) { l.MountDFS = "redis://:secret@redis.example.org:6380/1" }, nil},
		"nothing": {func(l *Location) { *l = Location{} }, []string{
			`name: "" is not a valid location name: use 1 to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`,
			`address: it is not host:port, such as 203.0.113.7:6443`,
			`callback_to: it does not begin with http://; write the URL of Brane's callback service, such as http://198.51.100.10:50052`,
			`namespace: "" is not a valid namespace name: use 1 to 63 lower-case letters, digits and "-", with a letter or digit at both ends`,
			`registry: it is not host:port, such as 198.51.100.10:50050`,
		}},
		"another kind":               {func(l *Location) { l.Kind = "vm" }, []string{`kind: only locations of kind "kube" can be written, not "vm"`}},
		"a name with a space":        {func(l *Location) { l.Name = "a b" }, []string{`name: "a b" is not a valid location name: use 1 to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`}},
		"a namespace with a capital": {func(l *Location) { l.Namespace = "Brane" }, []string{`namespace: "Brane" is not a valid namespace name: use 1 to 63 lower-case letters, digits and "-", with a letter or digit at both ends`}},
		"a secret with a dollar":     {func(l *Location) { l.SecretName = "s$x" }, []string{`secret_name: "s$x" is not a valid secret name: use 1 to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`}},
	} {
		t.Run(name, func(t *testing.T) {
			l := golden
			tt.change(&l)
			var got []string
			for _, p := range l.Validate() {
				got = append(got, p.Error())
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	want := Location{Name: "kube", Address: golden.Address, CallbackTo: golden.CallbackTo, Namespace: golden.Namespace, Registry: golden.Registry, MountDFS: golden.MountDFS}
	if got := golden.Diff(want); got != nil {
		t.Errorf("defaults count as differences: %v", got)
	}
	have := golden
	have.Registry, have.SecretName = "elsewhere:1", ""
	got := have.Diff(want)
	if len(got) != 2 || got[0].String() != `registry is "elsewhere:1" instead of "198.51.100.10:50050"` || got[1].Field != "secret_name" {
		t.Errorf("got %v", got)
	}
}

func TestSetRefusesAnInvalidLocation(t *testing.T) {
	d := NewInfra()
	l := golden
	l.Namespace, l.Registry = "", "http://r:1"
	const want = `location "kube" is not valid: namespace: "" is not a valid namespace name: use 1 to 63 lower-case letters, digits and "-", with a letter or digit at both ends
registry: it has a scheme; image names begin with host:port alone, such as 198.51.100.10:50050`
	if err := d.Set(l); err == nil || err.Error() != want || len(d.Bytes()) != 0 {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// FuzzNamespaceName compares the rule for a namespace with that of Kubernetes.
func FuzzNamespaceName(f *testing.F) {
	for _, seed := range []string{"brane", "", "-a", "a-", "A", "a.b", "1", "a\n", "é", strings.Repeat("a", 63), strings.Repeat("a", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := namespaceRule.MatchString(name), len(validation.IsDNS1123Label(name)) == 0; got != want {
			t.Errorf("%q: valid %t, Kubernetes %t", name, got, want)
		}
	})
}

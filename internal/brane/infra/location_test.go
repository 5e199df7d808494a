package infra

import (
	"reflect"
	"testing"
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
			`address: "" is not host:port, like 203.0.113.7:6443`,
			`callback_to: "" does not begin with http:// or https://; write Brane's callback service with its scheme, like http://198.51.100.10:50052`,
			`namespace: "" is not a valid namespace name: use 1 to 63 lower-case letters, digits and "-", with a letter or digit at both ends`,
			`registry: "" is not host:port, like 198.51.100.10:50050`,
		}},
		"another kind":                {func(l *Location) { l.Kind = "vm" }, []string{`kind: only locations of kind "kube" can be written, not "vm"`}},
		"a name with a space":         {func(l *Location) { l.Name = "a b" }, []string{`name: "a b" is not a valid location name: use 1 to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`}},
		"an address with a scheme":    {func(l *Location) { l.Address = "https://h:1" }, []string{`address: "https://h:1" has a scheme; write host:port alone, like 203.0.113.7:6443`}},
		"an address without a port":   {func(l *Location) { l.Address = "h" }, []string{`address: "h" is not host:port, like 203.0.113.7:6443`}},
		"a port that is none":         {func(l *Location) { l.Address = "h:65536" }, []string{`address: "h:65536" is not host:port, like 203.0.113.7:6443`}},
		"a callback without a scheme": {func(l *Location) { l.CallbackTo = "198.51.100.10:50052" }, []string{`callback_to: "198.51.100.10:50052" does not begin with http:// or https://; write Brane's callback service with its scheme, like http://198.51.100.10:50052`}},
		"a callback to localhost":     {func(l *Location) { l.CallbackTo = "http://LocalHost:50052" }, []string{`callback_to: "http://LocalHost:50052" is connected to from inside the step's container, where LocalHost is the container itself; use an address of the control plane`}},
		"a callback to 127.0.1.1":     {func(l *Location) { l.CallbackTo = "http://127.0.1.1:50052" }, []string{`callback_to: "http://127.0.1.1:50052" is connected to from inside the step's container, where 127.0.1.1 is the container itself; use an address of the control plane`}},
		"a callback with a path":      {func(l *Location) { l.CallbackTo = "http://h:1/a" }, []string{`callback_to: "http://h:1/a" has more than scheme, host and port; write it like http://198.51.100.10:50052`}},
		"a namespace with a capital":  {func(l *Location) { l.Namespace = "Brane" }, []string{`namespace: "Brane" is not a valid namespace name: use 1 to 63 lower-case letters, digits and "-", with a letter or digit at both ends`}},
		"a registry with a scheme":    {func(l *Location) { l.Registry = "http://h:1" }, []string{`registry: "http://h:1" has a scheme; image names begin with host:port alone, like 198.51.100.10:50050`}},
		"a registry by short name":    {func(l *Location) { l.Registry = "registry" }, []string{`registry: "registry" would be read as a docker.io user in an image name; add the port, like 198.51.100.10:50050`}},
		"a proxy without a port":      {func(l *Location) { l.ProxyAddress = "p" }, []string{`proxy_address: "p" is not host:port, like 198.51.100.10:1080`}},
		"a mount by rediss":           {func(l *Location) { l.MountDFS = "rediss://:secret@h" }, []string{`mount_dfs: the address does not begin with redis://; write it like redis://198.51.100.10`}},
		"a mount of localhost":        {func(l *Location) { l.MountDFS = "redis://[::1]:6379" }, []string{`mount_dfs: the file system is mounted inside the step's container, where ::1 is the container itself; use an address of the control plane`}},
		"a secret with a dollar":      {func(l *Location) { l.SecretName = "s$x" }, []string{`secret_name: "s$x" is not a valid secret name: use 1 to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`}},
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
registry: "http://r:1" has a scheme; image names begin with host:port alone, like 198.51.100.10:50050`
	if err := d.Set(l); err == nil || err.Error() != want || len(d.Bytes()) != 0 {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

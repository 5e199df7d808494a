package infra

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

var kubeconfig = []byte("apiVersion: v1\nkind: Config\n")

// testStore tests what both kinds of stores guarantee. open returns another store of the same files, as another process would have; put writes the files
// directly, where empty means no file; get reads them.
func testStore(t *testing.T, place func(t *testing.T) (open func() Store, put func(infra, secrets string), get func() (infra, secrets string))) {
	t.Run("registers, changes and unregisters", func(t *testing.T) {
		open, _, get := place(t)
		s := open()
		_, err := Lookup(t.Context(), s, "kube")
		if !errors.Is(err, ErrNoFile) || !errors.Is(err, ErrNoLocation) {
			t.Errorf("before: %v", err)
		}
		if err := Register(t.Context(), s, golden, kubeconfig); err != nil {
			t.Fatal(err)
		}
		got, err := Lookup(t.Context(), open(), "kube")
		if err != nil || got.Location != golden || string(got.Kubeconfig) != string(kubeconfig) {
			t.Errorf("%v, got %+v", err, got)
		}
		moved := golden
		moved.SecretName, moved.Address = "kube-2", "203.0.113.8:6443"
		if err := Register(t.Context(), s, moved, kubeconfig); err != nil {
			t.Fatal(err)
		}
		if err := RemoveUnusedSecret(t.Context(), s, "kube"); err != nil {
			t.Fatal(err)
		}
		infra, secrets := get()
		if !strings.Contains(infra, "s$kube-2") || secrets != "kube-2: "+EncodeKubeconfig(kubeconfig)+"\n" {
			t.Errorf("after moving to another secret:\n%s\n%s", infra, secrets)
		}
		for range 2 { // the second time there is nothing to do
			if err := Unregister(t.Context(), s, "kube", "kube-2"); err != nil {
				t.Fatal(err)
			}
		}
		if infra, secrets := get(); infra != "locations: {}\n" || secrets != "{}\n" {
			t.Errorf("after unregistering: %q, %q", infra, secrets)
		}
		if _, err = Lookup(t.Context(), s, "kube"); !errors.Is(err, ErrNoLocation) || errors.Is(err, ErrNoFile) {
			t.Errorf("after unregistering: %v", err)
		}
	})

	t.Run("does not create a location that exists", func(t *testing.T) {
		open, put, get := place(t)
		put("locations:\n  kube: {kind: local, callback_to: \"http://198.51.100.10:50052\", network: brane, registry: \"198.51.100.10:5000\"}\n", "{}\n")
		if err := Create(t.Context(), open(), golden, kubeconfig); !errors.Is(err, ErrExists) {
			t.Error(err)
		}
		if infra, secrets := get(); infra != "locations:\n  kube: {kind: local, callback_to: \"http://198.51.100.10:50052\", network: brane, registry: \"198.51.100.10:5000\"}\n" || secrets != "{}\n" {
			t.Errorf("written nevertheless:\n%s\n%s", infra, secrets)
		}
	})

	t.Run("creates a location once if two writers try concurrently", func(t *testing.T) {
		open, _, _ := place(t)
		errs := make(chan error, 2)
		for range 2 {
			go func(s Store) { errs <- Create(t.Context(), s, golden, kubeconfig) }(open())
		}
		one, other := <-errs, <-errs
		if one != nil {
			one, other = other, one
		}
		if one != nil || !errors.Is(other, ErrExists) {
			t.Errorf("got %v and %v", one, other)
		}
	})

	t.Run("keeps other entries", func(t *testing.T) {
		open, put, get := place(t)
		infra, secrets := string(read(t, "infra/crowded.yml")), string(read(t, "secrets/crowded.yml"))
		put(infra, secrets)
		if err := Register(t.Context(), open(), golden, kubeconfig); err != nil {
			t.Fatal(err)
		}
		if err := Unregister(t.Context(), open(), golden.Name, golden.Name); err != nil {
			t.Fatal(err)
		}
		if gotInfra, gotSecrets := get(); gotInfra != infra || gotSecrets != secrets {
			t.Errorf("got\n%s\n%s", gotInfra, gotSecrets)
		}
	})

	t.Run("fills files that are empty", func(t *testing.T) {
		open, put, get := place(t)
		put("# later", "\n")
		if err := Register(t.Context(), open(), golden, kubeconfig); err != nil {
			t.Fatal(err)
		}
		if infra, _ := get(); !strings.HasPrefix(infra, "# later\nlocations:\n  kube:\n") {
			t.Errorf("got\n%s", infra)
		}
	})

	t.Run("does not write over a file that it cannot read", func(t *testing.T) {
		for name, files := range map[string][3]string{
			"infra.yml":   {"locations:\n  kube: [\n", "a: b\n", "infra.yml:2:3: did not find expected node content"},
			"secrets.yml": {"locations: {}\n", "a: b\nb\n", "secrets.yml:2:1: could not find expected ':'"},
		} {
			t.Run(name, func(t *testing.T) {
				open, put, get := place(t)
				put(files[0], files[1])
				s := open()
				_, lookup := Lookup(t.Context(), s, "kube")
				for _, err := range []error{Register(t.Context(), s, golden, kubeconfig), Unregister(t.Context(), s, "kube", "kube"), lookup} {
					if !errors.Is(err, ErrUnparsable) || !strings.HasSuffix(err.Error(), files[2]) || !strings.Contains(err.Error(), s.String()) {
						t.Errorf("got %v, want …%s", err, files[2])
					}
				}
				if infra, secrets := get(); infra != files[0] || secrets != files[1] {
					t.Errorf("changed to\n%s\n%s", infra, secrets)
				}
			})
		}
	})

	t.Run("reports what is missing", func(t *testing.T) {
		open, put, _ := place(t)
		put(strings.Replace(string(read(t, "infra/golden.yml")), "s$kube", "s$gone", 1)+
			"  vm: {kind: local, callback_to: c, network: n, registry: r}\n  ssh:\n    kind: kube\n    address: a\n    callback_to: c\n    namespace: n\n"+
			"    registry: r\n    credentials: {mechanism: ssh-password, username: u, password: p}\n", "a: b\n")
		at := open().String()
		for name, tt := range map[string]struct {
			want string
			is   error
		}{
			"kube": {`look up location "kube" in ` + at + `: secret "gone" of secrets.yml: the secret does not exist`, ErrNoSecret},
			"vm":   {`look up location "vm" in ` + at + `: its kind is local: the location is not of kind kube`, ErrOtherKind},
			"ssh":  {`look up location "ssh" in ` + at + `: its credentials do not have mechanism: config, the only one that Brane uses for Kubernetes`, nil},
			"oslo": {`look up location "oslo" in ` + at + `: the location does not exist; infra.yml has: kube, ssh, vm`, ErrNoLocation},
		} {
			r, err := Lookup(t.Context(), open(), name)
			if err == nil || err.Error() != tt.want || tt.is != nil && !errors.Is(err, tt.is) || name != "oslo" && r.Location.Name != name {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		}
		vm := golden
		vm.Name = "vm"
		for _, err := range []error{Register(t.Context(), open(), vm, kubeconfig), Unregister(t.Context(), open(), "vm", "vm")} {
			if !errors.Is(err, ErrOtherKind) {
				t.Errorf("got %v", err)
			}
		}
	})

	t.Run("does not overwrite a secret that another location uses", func(t *testing.T) {
		open, put, get := place(t)
		put(string(read(t, "infra/golden.yml")), "kube: YQ==\n")
		l := golden
		l.Name = "oslo"
		if err := Register(t.Context(), open(), l, kubeconfig); !errors.Is(err, ErrSecretInUse) {
			t.Errorf("got %v", err)
		}
		if _, secrets := get(); secrets != "kube: YQ==\n" {
			t.Errorf("changed to %s", secrets)
		}
	})

	t.Run("keeps the changes of twenty concurrent writers", func(t *testing.T) {
		open, _, _ := place(t)
		var group sync.WaitGroup
		errs := make(chan error, 20)
		for i := range 20 {
			s := open()
			group.Go(func() { errs <- Register(t.Context(), s, numbered(i), kubeconfig) })
		}
		group.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		wantNumbered(t, open(), 20)
	})

	t.Run("ends with its context", func(t *testing.T) {
		open, _, get := place(t)
		ctx, stop := context.WithCancelCause(t.Context())
		stop(errors.New("the user pressed Ctrl-C"))
		if err := Register(ctx, open(), golden, kubeconfig); err == nil || !strings.Contains(err.Error(), "the user pressed Ctrl-C") {
			t.Errorf("got %v", err)
		}
		if infra, _ := get(); infra != "" {
			t.Errorf("wrote\n%s", infra)
		}
	})
}

func numbered(i int) Location {
	l := golden
	l.Name, l.SecretName = fmt.Sprintf("kube-%d", i), ""
	return l
}

func wantNumbered(t *testing.T, s Store, n int) {
	t.Helper()
	for i := range n {
		if r, err := Lookup(t.Context(), s, numbered(i).Name); err != nil || r.Location.Diff(numbered(i)) != nil {
			t.Errorf("%v, %v", err, r.Location)
		}
	}
}

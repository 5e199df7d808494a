package credentials

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
)

func read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var brane = Kubeconfig{Server: "https://203.0.113.7:6443", CA: []byte("CA"), Token: "TOKEN", Namespace: "brane", Name: "brane"}

func TestRender(t *testing.T) {
	got, err := Render(brane)
	if err != nil {
		t.Fatal(err)
	}
	if want := read(t, "rendered.yml"); string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	withCertificate := Kubeconfig{Server: "https://h:1", ClientCertificate: []byte("CERT"), ClientKey: []byte("KEY"), Name: "123"}
	if got, err = Render(withCertificate); err != nil {
		t.Fatal(err)
	}
	k, err := Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	k.Warnings = nil
	if diff := cmp.Diff(withCertificate, *k); diff != "" {
		t.Errorf("read back: %s", diff)
	}
}

func TestRenderErrors(t *testing.T) {
	for name, k := range map[string]Kubeconfig{
		"without a server":     {Token: "t"},
		"without a credential": {Server: "https://h:1"},
		"with half of one":     {Server: "https://h:1", ClientKey: []byte("k")},
		"with two":             {Server: "https://h:1", Token: "t", ClientKey: []byte("k"), ClientCertificate: []byte("c")},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Render(k); err == nil {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func TestParseGolden(t *testing.T) {
	want := brane
	want.Warnings = []string{"certificate-authority-data contains no PEM certificate"}
	for name, document := range map[string]string{
		"as it is":             read(t, "golden.yml"),
		"with a context more":  strings.Replace(read(t, "golden.yml"), "contexts:\n", "contexts:\n- {name: other, context: {cluster: gone, user: gone}}\n", 1),
		"with unknown keys":    strings.Replace(read(t, "golden.yml"), "users:\n", "preferences: {}\nunknown: [1]\nusers:\n", 1),
		"with an exec of null": strings.Replace(read(t, "golden.yml"), "token: TOKEN\n", "token: TOKEN\n    exec: null\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Parse([]byte(document))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, *k); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	golden := read(t, "golden.yml")
	replaced := func(from, to string) string {
		if !strings.Contains(golden, from) {
			t.Fatalf("the golden kubeconfig has no %q", from)
		}
		return strings.Replace(golden, from, to, 1)
	}
	const instead = "write a token, or client-certificate-data with client-key-data"
	for name, tt := range map[string]struct{ document, want string }{
		"nothing":       {"", `kubeconfig: the document is empty`},
		"two documents": {golden + "---\n" + golden, `kubeconfig: a second YAML document follows the first; Brane reads one only`},
		"no YAML":       {"a: [", `kubeconfig: the document cannot be read: line 1: did not find expected node content`},
		"a list":        {"[SECRET]", `kubeconfig: the document cannot be read: line 1: cannot unmarshal !!seq`},
		"base64":        {"YXBpVmVyc2lvbjogdjEK\n", `kubeconfig: the document cannot be read: this looks like base64; write the kubeconfig itself, the provider encodes it`},
		"a secret in the wrong place": {replaced("  user:\n    token: TOKEN", "  user: TOKEN"),
			`kubeconfig: the document cannot be read: line 10: cannot unmarshal !!str …`},
		"another kind":       {replaced("kind: Config", "kind: Secret"), `kubeconfig: kind: the document is not a kubeconfig; its kind must be Config and its apiVersion v1`},
		"no current context": {replaced("current-context: brane\n", ""), `kubeconfig: current-context: it is not set; write the name of the context that Brane is to use`},
		"a current context that is not there": {replaced("current-context: brane", "current-context: admin"),
			`kubeconfig: current-context: there is no context "admin"; write the name of one under contexts`},
		"a cluster that is not there": {replaced("cluster: c\n", "cluster: d\n"), `kubeconfig: contexts["brane"].cluster: there is no cluster "d"; write the name of one under clusters`},
		"a user that is not there":    {replaced("    user: brane\n", "    user: d\n"), `kubeconfig: contexts["brane"].user: there is no user "d"; write the name of one under users`},
		"a name twice": {replaced("users:\n", "users:\n- name: brane\n  user: {token: x}\n"),
			`kubeconfig: users["brane"]: the name is used twice; remove one of them`},
		"no server":         {replaced("    server: https://203.0.113.7:6443\n", ""), `kubeconfig: clusters["c"].server: it is not set; write the API server's address, like https://203.0.113.7:6443`},
		"a server by name":  {replaced("https://203.0.113.7:6443", "203.0.113.7"), `kubeconfig: clusters["c"].server: it is not an address; write it like https://203.0.113.7:6443`},
		"a server in clear": {replaced("https:", "http:"), `kubeconfig: clusters["c"].server: it does not begin with https://, so the credential would travel unencrypted; write it like https://203.0.113.7:6443`},
		"an authority in a file": {replaced("certificate-authority-data: Q0E=", "certificate-authority: /etc/ca.pem"),
			`kubeconfig: clusters["c"].certificate-authority: it names a file, which does not exist inside Brane; write its content as certificate-authority-data (base64 of the PEM)`},
		"an authority in PEM": {replaced("Q0E=", `"-----BEGIN CERTIFICATE-----"`), `kubeconfig: clusters["c"].certificate-authority-data: it is PEM; encode it with base64`},
		"an authority in the URL-safe alphabet": {replaced("Q0E=", "Q0-_"),
			`kubeconfig: clusters["c"].certificate-authority-data: it is base64 in the URL-safe alphabet; use the standard alphabet (+ and / instead of - and _)`},
		"an authority that is not encoded": {replaced("Q0E=", "CA!"), `kubeconfig: clusters["c"].certificate-authority-data: it is not base64; encode the PEM with base64 once`},
		"an unverified server with an authority": {replaced("    server:", "    insecure-skip-tls-verify: true\n    server:"),
			`kubeconfig: clusters["c"].insecure-skip-tls-verify: it contradicts certificate-authority-data; remove it`},
		"a program":         {replaced("token: TOKEN", "exec: {command: aws}"), `kubeconfig: users["brane"].exec: Brane cannot run a plugin inside its container; ` + instead},
		"a provider":        {replaced("token: TOKEN", "auth-provider: {name: gcp}"), `kubeconfig: users["brane"].auth-provider: Brane cannot run a plugin inside its container; ` + instead},
		"a token in a file": {replaced("token: TOKEN", "tokenFile: /t"), `kubeconfig: users["brane"].tokenFile: it names a file, which does not exist inside Brane; write its content as token`},
		"certificates in files": {replaced("token: TOKEN", "client-certificate: /c\n    client-key: /k"),
			`kubeconfig: users["brane"].client-certificate: it names a file, which does not exist inside Brane; write its content as client-certificate-data (base64 of the PEM)` + "\n" +
				`kubeconfig: users["brane"].client-key: it names a file, which does not exist inside Brane; write its content as client-key-data (base64 of the PEM)`},
		"a password":                  {replaced("token: TOKEN", "username: u\n    password: SECRET"), `kubeconfig: users["brane"].username: Kubernetes has not supported passwords since 1.19; ` + instead},
		"no credential":               {replaced("token: TOKEN", "{}"), `kubeconfig: users["brane"]: it has no credential; ` + instead},
		"a certificate without a key": {replaced("token: TOKEN", "client-certificate-data: Q0E="), `kubeconfig: users["brane"].client-key-data: it is not set, but the client certificate needs its key; write the key (base64 of the PEM)`},
		"a token with a line break":   {replaced("token: TOKEN", `token: "TO\nKEN"`), `kubeconfig: users["brane"].token: it contains a space, a line break or a character outside ASCII; write the token itself, not encoded with base64`},
		"a credential of both kinds":  {replaced("token: TOKEN", "token: TOKEN\n    client-certificate-data: Q0E=\n    client-key-data: Q0E="), `kubeconfig: users["brane"].token: the user also has a client certificate, and clients differ in which of them they use; remove one of them`},
		"a user who acts for another": {replaced("token: TOKEN", "token: TOKEN\n    as: admin"), `kubeconfig: users["brane"].as: Brane does not support impersonation; use the credential of that user`},
		"a server of another name":    {replaced("    server:", "    tls-server-name: x\n    server:"), `kubeconfig: clusters["c"].tls-server-name: Brane's client does not support it; use a server whose certificate is valid for the host in server`},
		"a server behind a proxy":     {replaced("    server:", "    proxy-url: http://p:1\n    server:"), `kubeconfig: clusters["c"].proxy-url: Brane's client does not support it; use a server that Brane reaches directly`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.document))
			if err == nil || err.Error() != tt.want {
				t.Fatalf("got  %v\nwant %s", err, tt.want)
			}
			var field *FieldError
			if !errors.As(err, &field) || len(FieldErrors(err)) != 1+strings.Count(tt.want, "\n") {
				t.Errorf("%d problems in %v", len(FieldErrors(err)), err)
			}
		})
	}
}

// TestRendersWhatBraneCannotRead checks forms that other readers accept: they are rendered in a form that every reader accepts.
func TestRendersWhatBraneCannotRead(t *testing.T) {
	golden := read(t, "golden.yml")
	for name, tt := range map[string]struct {
		document   string
		unreadable string // what is reported of a registered kubeconfig
	}{
		"a byte order mark":              {"\uFEFF" + golden, `it begins with a byte order mark`},
		"Windows":                        {"\uFEFF" + strings.ReplaceAll(golden, "\n", "\r\n"), `it begins with a byte order mark`},
		"a literal":                      {strings.Replace(golden, "certificate-authority-data: Q0E=", "certificate-authority-data: |\n      Q0\n      E=", 1), `certificate-authority-data: it contains a line break`},
		"a trailing line break":          {strings.Replace(golden, "Q0E=", `"Q0E=\n"`, 1), `certificate-authority-data: it contains a line break`},
		"no padding":                     {strings.Replace(golden, "Q0E=", "Q0E", 1), ``},
		"an empty certificate":           {strings.Replace(golden, "token: TOKEN", "token: TOKEN\n    client-certificate-data: \"\"", 1), `client-certificate-data: it is an empty string`},
		"an empty path":                  {strings.Replace(golden, "    server:", "    certificate-authority: \"\"\n    server:", 1), `certificate-authority: it is an empty string`},
		"merge keys":                     {strings.Replace(golden, "  user:\n    token: TOKEN", "  user:\n    <<: {token: TOKEN}", 1), `line 11: it contains a merge key (<<)`},
		"a context without a user":       {strings.Replace(golden, "contexts:\n", "contexts:\n- {name: other, context: {cluster: c}}\n", 1), `contexts["other"].user: it is not set`},
		"an empty cluster":               {strings.Replace(golden, "clusters:\n", "clusters:\n- {name: other, cluster: {}}\n", 1), `clusters["other"].server: it is not set`},
		"a plugin of another user":       {strings.Replace(golden, "users:\n", "users:\n- {name: other, user: {exec: {}}}\n", 1), `users["other"].exec.command: it is not set`},
		"preferences of the wrong type":  {strings.Replace(golden, "users:\n", "preferences: {colors: yes}\nusers:\n", 1), `preferences.colors: it is neither true nor false`},
		"extensions of the wrong type":   {strings.Replace(golden, "users:\n", "extensions: {a: b}\nusers:\n", 1), `extensions: it is not a list`},
		"a boolean that only Go accepts": {strings.Replace(golden, "    server:", "    insecure-skip-tls-verify: \"false\"\n    server:", 1), `clusters["c"].insecure-skip-tls-verify: it is neither true nor false`},
		"a binary token":                 {strings.Replace(golden, "token: TOKEN", "token: !!binary VE9LRU4=", 1), "line 11: it contains a value with the tag !!binary"},
		"an entry without a name":        {strings.Replace(golden, "users:\n", "users:\n- {user: {token: x}}\n", 1), "users[0]: it has no name"},
		"an entry that is null":          {strings.Replace(golden, "clusters:\n", "clusters:\n- {name: other, cluster: ~}\n", 1), `clusters["other"].cluster: it is not set`},
		"an anchor":                      {strings.Replace(strings.Replace(golden, "token: TOKEN", "token: &t TOKEN", 1), "users:\n", "users:\n", 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a boolean that only Go accepts" {
				tt.document = strings.Replace(tt.document, `"false"`, "No", 1)
			}
			k, err := Parse([]byte(tt.document))
			if err != nil {
				t.Fatal(err)
			}
			if said := fmt.Sprint(k.Unreadable); len(k.Unreadable) > 0 != (tt.unreadable != "") || !strings.Contains(said, tt.unreadable) {
				t.Errorf("got  %s\nwant %s", said, tt.unreadable)
			}
			rendered, err := Render(*k)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse(rendered)
			if err != nil || again.Unreadable != nil || again.Token != "TOKEN" || string(again.CA) != "CA" {
				t.Errorf("%v, %+v of\n%s", err, again, rendered)
			}
			if want := read(t, "rendered.yml"); string(rendered) != want {
				t.Errorf("got\n%s\nwant\n%s", rendered, want)
			}
		})
	}
}

func TestParseWarnings(t *testing.T) {
	golden := read(t, "golden.yml")
	for name, tt := range map[string]struct{ old, new, want string }{
		"no authority":        {"    certificate-authority-data: Q0E=\n", "", "there is no certificate-authority-data, so the server's certificate must be issued by a CA that Brane's container trusts"},
		"no verification":     {"certificate-authority-data: Q0E=", "insecure-skip-tls-verify: true", "the server's certificate is not verified (insecure-skip-tls-verify), so a host on the network path can read the credential"},
		"others' credentials": {"users:\n", "users:\n- {name: admin, user: {token: x}}\n", `the kubeconfig contains credentials of other users than "brane", and Brane would store all of them; kubectl config view --minify --raw prints only the current context`},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Parse([]byte(strings.Replace(golden, tt.old, tt.new, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if k.Warnings[len(k.Warnings)-1] != tt.want {
				t.Errorf("got %q", k.Warnings)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct{ server, context, address, namespace, want string }{
		"the same":                     {"https://203.0.113.7:6443", "brane", "203.0.113.7:6443", "brane", ""},
		"the port of https":            {"https://K8s.example.org./", "", "k8s.example.org:443", "brane", ""},
		"two forms of one IPv6":        {"https://[2001:db8::0:7]:6443", "brane", "[2001:DB8:0::7]:6443", "brane", ""},
		"another port":                 {"https://203.0.113.7", "brane", "203.0.113.7:6443", "brane", `address: the kubeconfig's server is 203.0.113.7:443, to which Brane connects; the address "203.0.113.7:6443" must be the same`},
		"another host":                 {"https://a:1", "brane", "b:1", "brane", `address: the kubeconfig's server is a:1, to which Brane connects; the address "b:1" must be the same`},
		"an address without a port":    {"https://a", "brane", "a", "brane", `address: the kubeconfig's server is a:443, to which Brane connects; the address "a" must be the same`},
		"a context for another corner": {"https://a:1", "default", "a:1", "brane", `namespace: the kubeconfig's context is for namespace "default" and the location for "brane"; make them the same`},
	} {
		t.Run(name, func(t *testing.T) {
			k := Kubeconfig{Server: tt.server, Namespace: tt.context}
			var got []string
			for _, p := range k.Check(tt.address, tt.namespace) {
				got = append(got, p.Field+": "+p.Sentence)
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestLifetime(t *testing.T) {
	at := func(n int64) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return time.Unix(n, 0)
	}
	for name, tt := range map[string]struct {
		token           string
		issued, expires int64
		ok              bool
	}{
		"a token":             {"e30.eyJleHAiOjE4MDAwMDAwMDAsImlhdCI6MTcwMDAwMDAwMH0.c2ln", 1700000000, 1800000000, true},
		"one that lives long": {"e30.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2ln", 0, 0, true},
		"a time of no use":    {"e30.eyJleHAiOjFlMzAwLCJpYXQiOi0xfQ.c2ln", 0, 0, true},
		"no JWT":              {"abcdef", 0, 0, false},
		"no base64":           {"a.?.c", 0, 0, false},
		"no JSON":             {"a.YQ.c", 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			issued, expires, ok := Expiry(tt.token)
			if !issued.Equal(at(tt.issued)) || !expires.Equal(at(tt.expires)) || ok != tt.ok {
				t.Errorf("got %v, %v, %v", issued, expires, ok)
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	a := Fingerprint([]byte("a"), []byte("salt"))
	if a != Fingerprint([]byte("a"), []byte("salt")) || a == Fingerprint([]byte("b"), []byte("salt")) || a == Fingerprint([]byte("a"), []byte("pepper")) {
		t.Error("a fingerprint must depend on content and salt alone")
	}
}

// FuzzParse: what parses is rendered to a kubeconfig that says the same, and no error holds the credential.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds (%v)", err)
	}
	for _, seed := range seeds {
		f.Add([]byte(read(f, filepath.Base(seed))))
	}
	f.Add([]byte(`{"kind": "Config", "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := Parse(data)
		if err != nil {
			if len(FieldErrors(err)) == 0 {
				t.Errorf("no field error: %v", err)
			}
			if bytes.Contains(data, []byte("token: TOKEN")) && bytes.Count(data, []byte("TOKEN")) == 1 && strings.Contains(err.Error(), "TOKEN") {
				t.Errorf("the token is in the error: %v", err)
			}
			return
		}
		rendered, err := Render(*k)
		if err != nil {
			t.Fatalf("what was parsed cannot be rendered: %v", err)
		}
		again, err := Parse(rendered)
		if err != nil {
			t.Fatalf("%v in\n%s", err, rendered)
		}
		second, err := clientcmd.Load(rendered)
		if err != nil {
			t.Fatalf("kubectl refuses it: %v in\n%s", err, rendered)
		}
		context := second.Contexts[second.CurrentContext]
		if cluster, user := second.Clusters[context.Cluster], second.AuthInfos[context.AuthInfo]; cluster.Server != k.Server || user.Token != k.Token || context.Namespace != k.Namespace ||
			!bytes.Equal(cluster.CertificateAuthorityData, k.CA) || !bytes.Equal(user.ClientKeyData, k.ClientKey) {
			t.Errorf("kubectl reads something else from\n%s", rendered)
		}
		k.Warnings, k.Unreadable, again.Warnings = nil, nil, nil
		if diff := cmp.Diff(k, again); diff != "" {
			t.Error(diff)
		}
	})
}

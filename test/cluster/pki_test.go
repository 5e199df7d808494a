package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
)

// newDirectory returns a cluster with the subdirectories that the tests need.
func newDirectory(t *testing.T) cluster {
	t.Helper()
	c := cluster{dir: t.TempDir(), number: 7}
	for _, directory := range []string{"conf", "bin", "redis"} {
		if err := os.Mkdir(c.path(directory), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestCertificates(t *testing.T) {
	c := newDirectory(t)
	if err := writePKI(c); err != nil {
		t.Fatal(err)
	}
	pool, err := readPool(c.path("pki/ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file, user, group string
		hosts             []string
	}{
		"the API server is known where programs and pods reach it": {"apiserver", "kube-apiserver", "", []string{"127.0.1.7", "10.88.7.1", "kubernetes.default.svc"}},
		"etcd is known on loopback":                                {"etcd", "etcd", "", []string{"127.0.1.7"}},
		"the kubelet serves under its node's name":                 {"kubelet", "system:node:127.0.1.7", "system:nodes", []string{"127.0.1.7"}},
		"the kubelet's client is the node":                         {"kubelet-client", "system:node:127.0.1.7", "system:nodes", nil},
		"the administrator may do all":                             {"admin", "kubernetes-admin", "system:masters", nil},
		"the scheduler has its own rights":                         {"scheduler", "system:kube-scheduler", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := tls.LoadX509KeyPair(c.path("pki", tt.file+".crt"), c.path("pki", tt.file+".key"))
			if err != nil {
				t.Fatal(err)
			}
			for _, host := range append(tt.hosts, "") { // without a host: checks only the issuer
				if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
					t.Errorf("as %q: %v", host, err)
				}
			}
			group := ""
			if g := pair.Leaf.Subject.Organization; len(g) > 0 {
				group = g[0]
			}
			if pair.Leaf.Subject.CommonName != tt.user || group != tt.group {
				t.Errorf("got user %q, group %q, want %q, %q", pair.Leaf.Subject.CommonName, group, tt.user, tt.group)
			}
		})
	}
}

func TestCertificatesAreMadeOnce(t *testing.T) {
	c := newDirectory(t)
	var kubeconfigs [2][]byte
	for i := range kubeconfigs {
		if err := writePKI(c); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(c.adminFile())
		if err != nil {
			t.Fatal(err)
		}
		kubeconfigs[i] = b
	}
	if !bytes.Equal(kubeconfigs[0], kubeconfigs[1]) {
		t.Error("a second start has written another kubeconfig, which breaks shells that use the first one")
	}
}

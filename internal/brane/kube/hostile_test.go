package kube_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// connect returns a client that trusts the CA of a server.
func connect(t *testing.T, host string, ca []byte) *kube.Client {
	t.Helper()
	client, err := kube.New(must(t)(kube.Connection{Host: host, Token: "t", ClusterCACertificate: string(ca)}.Config()))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// toPEM encodes the certificate of a server.
func toPEM(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

// TestHostileServer checks that no answer of an API server, or of what is in front of it, exhausts the memory, panics, or is taken for an object.
func TestHostileServer(t *testing.T) {
	kube.LimitResponses(t, 8<<20)
	send := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, body) // the client may have disconnected
		}
	}
	const (
		json     = "application/json"
		protobuf = "application/vnd.kubernetes.protobuf"
	)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string // part of the error; without it, client-go may ignore the answer
	}{
		"an answer without an end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", json)
			_, _ = io.WriteString(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"`)
			for chunk := bytes.Repeat([]byte("x"), 1<<20); r.Context().Err() == nil; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "the response of the API server has more than 8 MiB"},
		"no body":               {send(json, ""), "0-length response"},
		"a page of a proxy":     {send("text/html", "<html>Please log in</html>"), "text/html"},
		"a cut object":          {send(json, `{"kind":"Namespace","apiVersion":"v1","metadata":{"na`), "unexpected end of JSON input"},
		"another kind":          {send(json, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","uid":"other"}}`), ""},
		"a list":                {send(json, `{"kind":"NamespaceList","apiVersion":"v1","items":[{}]}`), ""},
		"another type of field": {send(json, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":{"a":[]}}}`), "cannot unmarshal object into Go struct field"},
		"deep nesting":          {send(json, `{"kind":"Namespace","apiVersion":"v1","metadata":`+strings.Repeat(`{"a":`, 1e6)), "exceeded max depth"},
		"no protobuf":           {send(protobuf, "k8s\x00"+strings.Repeat("\xff", 100)), "proto"},
		"a length of 2 EiB":     {send(protobuf, "k8s\x00\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x1f"), "unexpected EOF"},
		"a length it lies about": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "{}")
		}, "EOF"},
		"a redirect to itself": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }, "stopped after 10 redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(tt.answer)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			defer server.Close()
			client := connect(t, server.URL, toPEM(server.Certificate()))
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
			err := client.Get(t.Context(), namespace)
			if err == nil && tt.want != "" || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.300v\nwant …%s…", err, tt.want)
			}
			if namespace.UID != "" {
				t.Errorf("the object is that of the answer: %s", namespace.UID)
			}
		})
	}
}

// TestUntrustedServer checks that nothing is sent to a server whose certificate is not valid for it, or that knows no TLS.
func TestUntrustedServer(t *testing.T) {
	valid := func(change func(*x509.Certificate)) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
			NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
		change(template)
		return template
	}
	unchanged := func(*x509.Certificate) {}
	for name, tt := range map[string]struct {
		change func(*x509.Certificate)
		start  func(*httptest.Server)
		other  bool // whether the client trusts another CA
		want   string
	}{
		"a valid certificate":    {change: unchanged, want: "the server could not find the requested resource"},
		"another CA":             {change: unchanged, other: true, want: "x509: certificate signed by unknown authority"},
		"an expired certificate": {change: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }, want: "x509: certificate has expired or is not yet valid"},
		"a certificate of later": {change: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour / 2) }, want: "x509: certificate has expired or is not yet valid"},
		"another address":        {change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} }, want: "x509: certificate is valid for 192.0.2.1, not 127.0.0.1"},
		"a server without TLS":   {change: unchanged, start: (*httptest.Server).Start, want: "server gave HTTP response to HTTPS client"},
		"a server with TLS 1.1":  {change: unchanged, start: startOldTLS, want: "protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			requests := make(chan string, 10)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests <- r.Header.Get("Authorization")
				http.NotFound(w, r)
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			certificate, key := newCertificate(t, valid(tt.change))
			server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}}
			if tt.start == nil {
				tt.start = (*httptest.Server).StartTLS
			}
			tt.start(server)
			defer server.Close()
			ca := toPEM(certificate)
			if tt.other {
				another, _ := newCertificate(t, valid(unchanged))
				ca = toPEM(another)
			}
			client := connect(t, strings.Replace(server.URL, "http://", "https://", 1), ca)
			err := client.Get(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
			if !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v\nwant …%s…", err, tt.want)
			}
			if kube.IsRetryable(err) {
				t.Error("the request is repeated")
			}
			if reached := len(requests) > 0; reached != (name == "a valid certificate") {
				t.Errorf("the request reached the server: %t", reached)
			}
		})
	}
}

func startOldTLS(server *httptest.Server) {
	server.TLS.MaxVersion = tls.VersionTLS11 // the client must refuse it
	server.TLS.MinVersion = tls.VersionTLS10
	server.StartTLS()
}

// newCertificate returns a self-signed certificate and its key.
func newCertificate(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

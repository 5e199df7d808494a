package credentials

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Kubeconfig is one cluster, one user and their context, which is all that Brane reads.
type Kubeconfig struct {
	Server            string // https://host:port
	CA                []byte // PEM; empty means the CAs that the reader's machine trusts
	Insecure          bool   // the server's certificate is not verified
	Token             string // a secret; this, or the certificate with its key
	ClientCertificate []byte // PEM
	ClientKey         []byte // PEM, a secret
	Namespace         string // of the context; Brane uses the location's
	Name              string // of cluster, user and context; empty means "brane"
	Warnings          []string
	Unreadable        []*FieldError // what Brane's readers do not accept, although it can be read; [Render] corrects it
}

// The types of the document, with the keys in the order of kubectl's documentation. Plans need stable bytes, so clientcmd does not write it.
type (
	document struct {
		APIVersion     string         `yaml:"apiVersion"`
		Kind           string         `yaml:"kind"`
		Clusters       []namedCluster `yaml:"clusters"`
		Users          []namedUser    `yaml:"users"`
		Contexts       []namedContext `yaml:"contexts"`
		CurrentContext string         `yaml:"current-context"`
	}
	namedCluster struct {
		Name    string  `yaml:"name"`
		Cluster cluster `yaml:"cluster"`
	}
	cluster struct {
		Server        string `yaml:"server"`
		CAData        string `yaml:"certificate-authority-data,omitempty"`
		CAFile        string `yaml:"certificate-authority,omitempty"`
		Insecure      bool   `yaml:"insecure-skip-tls-verify,omitempty"`
		TLSServerName string `yaml:"tls-server-name,omitempty"`
		ProxyURL      string `yaml:"proxy-url,omitempty"`
	}
	namedUser struct {
		Name string `yaml:"name"`
		User user   `yaml:"user"`
	}
	user struct {
		Token          string    `yaml:"token,omitempty"`
		TokenFile      string    `yaml:"tokenFile,omitempty"`
		ClientCertData string    `yaml:"client-certificate-data,omitempty"`
		ClientCertFile string    `yaml:"client-certificate,omitempty"`
		ClientKeyData  string    `yaml:"client-key-data,omitempty"`
		ClientKeyFile  string    `yaml:"client-key,omitempty"`
		Exec           yaml.Node `yaml:"exec,omitempty"`
		AuthProvider   yaml.Node `yaml:"auth-provider,omitempty"`
		Username       string    `yaml:"username,omitempty"`
		Password       string    `yaml:"password,omitempty"`
		As             string    `yaml:"as,omitempty"`
	}
	namedContext struct {
		Name    string     `yaml:"name"`
		Context contextRef `yaml:"context"`
	}
	contextRef struct {
		Cluster   string `yaml:"cluster"`
		Namespace string `yaml:"namespace,omitempty"`
		User      string `yaml:"user"`
	}
)

// Render writes a kubeconfig that refers to no files. The same input gives the same bytes.
func Render(k Kubeconfig) ([]byte, error) {
	if k.Server == "" {
		return nil, errors.New("render a kubeconfig: it has no server")
	}
	if (k.Token == "") == (len(k.ClientCertificate) == 0 || len(k.ClientKey) == 0) {
		return nil, errors.New("render a kubeconfig: it needs either a token or a client certificate with its key")
	}
	name := k.Name
	if name == "" {
		name = "brane"
	}
	d := document{
		APIVersion: "v1", Kind: "Config",
		Clusters: []namedCluster{{name, cluster{Server: k.Server, CAData: encodeBase64(k.CA), Insecure: k.Insecure}}},
		Users: []namedUser{{name, user{
			Token: k.Token, ClientCertData: encodeBase64(k.ClientCertificate), ClientKeyData: encodeBase64(k.ClientKey),
		}}},
		Contexts:       []namedContext{{name, contextRef{Cluster: name, Namespace: k.Namespace, User: name}}},
		CurrentContext: name,
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(d); err != nil {
		return nil, fmt.Errorf("render a kubeconfig: %w", err)
	}
	return b.Bytes(), nil
}

func encodeBase64(pem []byte) string { return base64.StdEncoding.EncodeToString(pem) }

// Fingerprint identifies a kubeconfig without revealing its content. With a different salt for each it cannot be compared with that of another kubeconfig.
func Fingerprint(kubeconfig, salt []byte) string {
	mac := hmac.New(sha256.New, salt)
	mac.Write(kubeconfig)
	return hex.EncodeToString(mac.Sum(nil))
}

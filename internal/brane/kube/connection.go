package kube

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ErrNoConnection reports that no cluster is configured. There is no fallback to localhost or to the cluster that this process may run in:
// a missing setting would then change the wrong cluster.
var ErrNoConnection = errors.New("no cluster is configured: set a kubeconfig file, a host, or in_cluster = true")

// Connection describes how to reach a cluster: with a kubeconfig file, whose values the other fields override, with a host and credentials, or from inside it.
type Connection struct {
	ConfigPath    string // a kubeconfig file
	ConfigContext string // a context of that file; empty means its current one

	Host                 string // https://203.0.113.7:6443
	Token                string
	ClientCertificate    string // PEM
	ClientKey            string // PEM
	ClusterCACertificate string // PEM
	TLSServerName        string
	ProxyURL             string
	Insecure             bool
	Exec                 *Exec

	InCluster bool // use the service account of the pod that this process runs in

	// QPS is the rate of requests per second, Burst how many may exceed it; 0 means 100 and 200. With client-go's default of 5 a plan of hundreds of
	// namespaces would take minutes.
	QPS, Burst int
}

// Exec is a program that prints a credential (client.authentication.k8s.io).
type Exec struct {
	APIVersion string
	Command    string
	Args       []string
	Env        map[string]string
}

// Config converts the connection to client-go's configuration. It reads files, but does not contact the server. The error is [ErrNoConnection] if
// no cluster is configured.
func (c Connection) Config() (*rest.Config, error) {
	config, err := c.loadConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = float32(c.QPS), c.Burst
	return config, nil
}

func (c Connection) loadConfig() (*rest.Config, error) {
	if c.InCluster {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("use the service account of this pod: %w", err)
		}
		return config, nil
	}
	if c.ConfigPath == "" && c.Host == "" {
		return nil, ErrNoConnection
	}
	// clientcmd reports a file that it cannot read less clearly.
	if c.ConfigPath != "" {
		if _, err := os.Stat(c.ConfigPath); err != nil {
			return nil, fmt.Errorf("read the kubeconfig: %w", err)
		}
	}
	overrides, err := c.configOverrides()
	if err != nil {
		return nil, err
	}
	// Without a file name clientcmd would read KUBECONFIG and ~/.kube/config.
	var loader clientcmd.ClientConfig
	if c.ConfigPath == "" {
		loader = clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), overrides)
	} else {
		loader = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.ConfigPath}, overrides)
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the connection to the cluster: %w", err)
	}
	return config, nil
}

func (c Connection) configOverrides() (*clientcmd.ConfigOverrides, error) {
	if c.ProxyURL != "" {
		if u, err := url.Parse(c.ProxyURL); err != nil || u.Host == "" {
			return nil, errors.New("proxy_url is not a URL with a host")
		}
	}
	o := &clientcmd.ConfigOverrides{CurrentContext: c.ConfigContext}
	o.ClusterInfo = clientcmdapi.Cluster{
		Server:                   c.Host,
		TLSServerName:            c.TLSServerName,
		InsecureSkipTLSVerify:    c.Insecure,
		CertificateAuthorityData: []byte(c.ClusterCACertificate),
		ProxyURL:                 c.ProxyURL,
	}
	o.AuthInfo = clientcmdapi.AuthInfo{
		Token:                 c.Token,
		ClientCertificateData: []byte(c.ClientCertificate),
		ClientKeyData:         []byte(c.ClientKey),
	}
	if c.Exec != nil {
		exec := &clientcmdapi.ExecConfig{
			APIVersion:      c.Exec.APIVersion,
			Command:         c.Exec.Command,
			Args:            c.Exec.Args,
			InteractiveMode: clientcmdapi.NeverExecInteractiveMode, // Terraform has no terminal for it
		}
		for name, value := range c.Exec.Env {
			exec.Env = append(exec.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
		}
		o.AuthInfo.Exec = exec
	}
	return o, nil
}

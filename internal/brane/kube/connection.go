package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ErrNoConnection reports that no cluster is configured. There is no fallback to localhost or to the cluster that this process may run in:
// a missing setting would then change the wrong cluster.
var ErrNoConnection = errors.New("no cluster is configured: set a kubeconfig file, a host, or in_cluster = true")

// Connection describes how to reach a cluster, from exactly one source: a kubeconfig file, a host with credentials, or the pod in which this process runs.
// Server, CA and identity come from that source as a whole.
type Connection struct {
	ConfigPath    string // a kubeconfig file
	ConfigContext string // a context of that file; empty means its current one

	// With Host, the identity is one of Token, ClientCertificate with ClientKey, and Exec.
	Host                 string // https://203.0.113.7:6443
	Token                string
	ClientCertificate    string // PEM
	ClientKey            string // PEM
	ClusterCACertificate string // PEM
	TLSServerName        string
	ProxyURL             string
	Insecure             bool
	Exec                 *Exec

	InCluster bool // use the service account of the pod in which this process runs

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
	switch {
	case c.InCluster:
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("use the service account of this pod: %w", err)
		}
		return config, nil
	case c.ConfigPath != "":
		file, err := loadKubeconfig(c.ConfigPath, c.ConfigContext)
		if err != nil {
			return nil, fmt.Errorf("read the kubeconfig %s: %w", c.ConfigPath, err)
		}
		return toRESTConfig(file)
	case c.Host != "":
		described, err := c.toKubeconfig()
		if err != nil {
			return nil, err
		}
		return toRESTConfig(described)
	default:
		return nil, ErrNoConnection
	}
}

// loadKubeconfig returns the kubeconfig in a file, with the selected context as its current one. The context must name a cluster with a server and a user that
// exist, because client-go replaces what is missing: the cluster by that of the pod in which the process runs, and the user by system:anonymous.
func loadKubeconfig(file, selected string) (clientcmdapi.Config, error) {
	if _, err := os.Stat(file); err != nil {
		var reason *fs.PathError
		if errors.As(err, &reason) {
			err = reason.Err // the caller names the file
		}
		return clientcmdapi.Config{}, err
	}
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		return clientcmdapi.Config{}, err
	}
	if err := clientcmd.ResolveLocalPaths(config); err != nil {
		return clientcmdapi.Config{}, err
	}
	if selected != "" {
		config.CurrentContext = selected
	}
	name := config.CurrentContext
	chosen, found := config.Contexts[name]
	switch known := strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", "); {
	case known == "":
		return clientcmdapi.Config{}, errors.New("it has no current context and no other context, so it names no cluster; set config_path (KUBE_CONFIG_PATH) to a complete kubeconfig")
	case name == "":
		return clientcmdapi.Config{}, fmt.Errorf("it has no current context; set config_context (KUBE_CTX) to one of its contexts: %s", known)
	case !found:
		return clientcmdapi.Config{}, fmt.Errorf("it has no context %q; set config_context (KUBE_CTX) to one of its contexts: %s", name, known)
	}
	cluster, found := config.Clusters[chosen.Cluster]
	switch {
	case chosen.Cluster == "":
		return clientcmdapi.Config{}, fmt.Errorf("context %q names no cluster", name)
	case !found:
		return clientcmdapi.Config{}, fmt.Errorf("context %q names the cluster %q, which the file does not have", name, chosen.Cluster)
	case cluster.Server == "":
		return clientcmdapi.Config{}, fmt.Errorf("cluster %q has no server", chosen.Cluster)
	}
	if err := checkURLs(cluster); err != nil {
		return clientcmdapi.Config{}, fmt.Errorf("cluster %q: %w", chosen.Cluster, err)
	}
	if _, found := config.AuthInfos[chosen.AuthInfo]; !found {
		if chosen.AuthInfo == "" {
			return clientcmdapi.Config{}, fmt.Errorf("context %q names no user", name)
		}
		return clientcmdapi.Config{}, fmt.Errorf("context %q names the user %q, which the file does not have", name, chosen.AuthInfo)
	}
	return *config, nil
}

// checkURLs refuses URLs about which client-go has errors that repeat them, because they may contain a password.
func checkURLs(cluster *clientcmdapi.Cluster) error {
	if u, err := url.Parse(cluster.Server); strings.Contains(cluster.Server, "://") && (err != nil || u.Hostname() == "") {
		return errors.New("server is not a URL with a host")
	}
	if strings.Contains(cluster.Server, "@") {
		return errors.New("server contains a user name or password, which an API server does not accept")
	}
	if u, err := url.Parse(cluster.ProxyURL); cluster.ProxyURL != "" && (err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme)) {
		return errors.New("proxy-url is not a URL with a scheme (http, https or socks5) and a host")
	}
	return nil
}

// toKubeconfig returns a connection by host as a kubeconfig.
func (c Connection) toKubeconfig() (clientcmdapi.Config, error) {
	if c.ProxyURL != "" {
		if u, err := url.Parse(c.ProxyURL); err != nil || u.Host == "" {
			return clientcmdapi.Config{}, errors.New("proxy_url is not a URL with a host")
		}
	}
	user := &clientcmdapi.AuthInfo{Token: c.Token, ClientCertificateData: []byte(c.ClientCertificate), ClientKeyData: []byte(c.ClientKey)}
	if c.Exec != nil {
		user.Exec = &clientcmdapi.ExecConfig{
			APIVersion:      c.Exec.APIVersion,
			Command:         c.Exec.Command,
			Args:            c.Exec.Args,
			InteractiveMode: clientcmdapi.NeverExecInteractiveMode, // Terraform has no terminal for it
		}
		for name, value := range c.Exec.Env {
			user.Exec.Env = append(user.Exec.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
		}
	}
	const only = "block"
	return clientcmdapi.Config{
		CurrentContext: only,
		Contexts:       map[string]*clientcmdapi.Context{only: {Cluster: only, AuthInfo: only}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{only: user},
		Clusters: map[string]*clientcmdapi.Cluster{only: {
			Server:                   c.Host,
			TLSServerName:            c.TLSServerName,
			InsecureSkipTLSVerify:    c.Insecure,
			CertificateAuthorityData: []byte(c.ClusterCACertificate),
			ProxyURL:                 c.ProxyURL,
		}},
	}, nil
}

// toRESTConfig converts the current context. Unlike client-go's deferred loader, the loader of one configuration reads no other source.
func toRESTConfig(config clientcmdapi.Config) (*rest.Config, error) {
	converted, err := clientcmd.NewNonInteractiveClientConfig(config, config.CurrentContext, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the connection to the cluster: %w", err)
	}
	return converted, nil
}

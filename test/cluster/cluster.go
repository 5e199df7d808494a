package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// lastNumber is the highest number from which all addresses are valid.
const lastNumber = 250

// The ports are the default ones, because each cluster has its own addresses.
const (
	apiPort      = "6443"
	etcdPort     = "2379"
	etcdPeerPort = "2380"
	kubeletPort  = "10250"
	healthPort   = "10248"
	managerPort  = "10257"
	schedPort    = "10259"
	redisPort    = "6379"
	registryPort = "5000"
	servicePort  = "443" // of the Service "kubernetes"
)

// loopbackPorts are the ports in use on the cluster's loopback address.
var loopbackPorts = []string{apiPort, etcdPort, etcdPeerPort, kubeletPort, healthPort, managerPort, schedPort, redisPort}

// cluster is one test cluster: a directory for its files, and a number from which its addresses and names on the machine are derived.
type cluster struct {
	dir    string
	number int
}

func (c cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c cluster) loopback() string     { return fmt.Sprintf("127.0.1.%d", c.number) } // programs on the machine
func (c cluster) gateway() string      { return fmt.Sprintf("10.88.%d.1", c.number) } // for pods
func (c cluster) subnet() string       { return fmt.Sprintf("10.88.%d.0/24", c.number) }
func (c cluster) serviceRange() string { return fmt.Sprintf("10.89.%d.0/24", c.number) } // each cluster on a machine has its own
func (c cluster) service() string      { return fmt.Sprintf("10.89.%d.1", c.number) }    // the Service "kubernetes"; the API server takes the first address
func (c cluster) bridge() string       { return "brane-" + strconv.Itoa(c.number) }
func (c cluster) cgroup() string       { return "brane-cluster-" + strconv.Itoa(c.number) }

func (c cluster) server() string    { return "https://" + c.loopback() + ":" + apiPort }
func (c cluster) registry() string  { return c.gateway() + ":" + registryPort }
func (c cluster) adminFile() string { return c.path("kubeconfig") }

// node returns the node's name. The kubelet rejects a loopback address as --node-ip, but accepts it as a name
// to which the API server can connect.
func (c cluster) node() string { return c.loopback() }

// identity is stored in the cluster's directory. The ID distinguishes it from another directory that is created
// later at the same path, for example by CI.
type identity struct {
	ID       string `json:"id"`
	Number   int    `json:"number"`   // 0: never started
	Services string `json:"services"` // the address range of Services in etcd and in a certificate
	Version  string `json:"version"`  // of the Kubernetes that has written to etcd, for example "1.30"
	Redis    string `json:"redis"`    // the server that has written the data of Redis
}

// explainMisfit returns why the content of the directory does not belong to this cluster; empty if it does. Kubernetes and etcd do not read the data of a later
// version, and must be updated version by version. Redis does not read that of Valkey.
func (id identity) explainMisfit(c cluster, version, redis string) string {
	switch {
	case id.Number == 0:
		return ""
	case id.Number != c.number || id.Services != c.serviceRange():
		return fmt.Sprintf("the cluster had other addresses with number %d", id.Number)
	case id.Version != version:
		return "the cluster had another version of Kubernetes"
	case id.Redis != redis:
		return "the cluster had another Redis server"
	}
	return ""
}

func identityFile(dir string) string { return filepath.Join(dir, "cluster.json") }

// readIdentity returns os.ErrNotExist if the directory does not contain a cluster.
func readIdentity(dir string) (identity, error) {
	var id identity
	b, err := os.ReadFile(identityFile(dir))
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("read %s: %w", identityFile(dir), err)
	}
	return id, nil
}

func (id identity) write(dir string) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return os.WriteFile(identityFile(dir), append(b, '\n'), 0o600)
}

// openIdentity reads the identity of the directory, or creates it.
func openIdentity(dir string) (identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return identity{}, err
	}
	id, err := readIdentity(dir)
	if errors.Is(err, os.ErrNotExist) {
		id = identity{ID: rand.Text()}
		err = id.write(dir)
	}
	return id, err
}

// open returns the cluster of a directory, running or not.
func open(dir string) (cluster, error) {
	id, err := readIdentity(dir)
	if err != nil {
		return cluster{}, err
	}
	return cluster{dir: dir, number: id.Number}, nil
}

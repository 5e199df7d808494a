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

// lastNumber keeps every address derived from a number valid.
const lastNumber = 250

// The ports are the usual ones: clusters differ in their addresses.
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

// loopbackPorts are taken on the cluster's loopback address.
var loopbackPorts = []string{apiPort, etcdPort, etcdPeerPort, kubeletPort, healthPort, managerPort, schedPort, redisPort}

// cluster is one test cluster: a folder for all that it keeps and a number for all that a machine has only one of.
type cluster struct {
	dir    string
	number int
}

func (c cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c cluster) loopback() string     { return fmt.Sprintf("127.0.1.%d", c.number) } // programs on the machine
func (c cluster) gateway() string      { return fmt.Sprintf("10.88.%d.1", c.number) } // what pods reach
func (c cluster) subnet() string       { return fmt.Sprintf("10.88.%d.0/24", c.number) }
func (c cluster) serviceRange() string { return fmt.Sprintf("10.89.%d.0/24", c.number) } // of which each cluster on a machine has its own
func (c cluster) service() string      { return fmt.Sprintf("10.89.%d.1", c.number) }    // the Service "kubernetes"; the API server takes the first address
func (c cluster) bridge() string       { return "brane-" + strconv.Itoa(c.number) }
func (c cluster) cgroup() string       { return "brane-cluster-" + strconv.Itoa(c.number) }

func (c cluster) server() string    { return "https://" + c.loopback() + ":" + apiPort }
func (c cluster) registry() string  { return c.gateway() + ":" + registryPort }
func (c cluster) adminFile() string { return c.path("kubeconfig") }

// node is the node's name. The kubelet refuses a loopback address as --node-ip, but takes it as a name
// that the API server can dial.
func (c cluster) node() string { return c.loopback() }

// identity is what a folder knows of its own cluster. The ID tells a folder from another one that was made
// at the same path later, as CI does with its clones.
type identity struct {
	ID       string `json:"id"`
	Number   int    `json:"number"`   // 0: never started
	Services string `json:"services"` // what etcd and a certificate hold of the Services' addresses
}

// fits says whether what the folder holds is of this cluster.
func (id identity) fits(c cluster) bool {
	return id.Number == 0 || id.Number == c.number && id.Services == c.serviceRange()
}

func identityFile(dir string) string { return filepath.Join(dir, "cluster.json") }

// readIdentity gives os.ErrNotExist where the folder is none of a cluster.
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

// openIdentity reads the folder's identity and gives it one where it has none.
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

// open gives the running or last run cluster of a folder.
func open(dir string) (cluster, error) {
	id, err := readIdentity(dir)
	if err != nil {
		return cluster{}, err
	}
	return cluster{dir: dir, number: id.Number}, nil
}

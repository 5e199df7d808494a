package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// nodeCommand is the launcher's command that runs as process 1 of the node's namespaces.
const nodeCommand = "node"

// kubeVariable is the environment variable with the path of the Kubernetes binary.
const kubeVariable = "BRANE_CLUSTER_KUBE"

// The node and up signal each other with these files, which each start removes first.
const (
	containerdReady = "run/containerd.ready"
	apiServerReady  = "run/apiserver.ready"
)

// kubeletHeld is the file with which a test prevents that a killed kubelet is started again. The node writes to it when the kubelet has ended.
const kubeletHeld = "run/kubelet.held"

const containerdSocket = "/run/containerd/containerd.sock"

// nodeProgram runs containerd and the kubelet in new PID, mount and IPC namespaces: when their process 1 ends, the
// kernel ends every container and shim and removes every mount and network namespace. containerd and its shim are in
// the directory runtime.
func (c cluster) nodeProgram(self, kube, runtime string) program {
	return program{
		name: "node",
		args: []string{self, nodeCommand, "-dir", c.dir},
		env: []string{
			kubeVariable + "=" + kube,
			"PATH=" + runtime + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			// Images of other registries may need the proxy of the environment; the cluster's registry must not use it.
			"NO_PROXY=" + c.gateway() + "," + os.Getenv("NO_PROXY"),
		},
		attr: syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC},
	}
}

// nodeMounts maps directories of the cluster to the absolute paths at which they are mounted in the node. Some programs have fixed paths.
var nodeMounts = map[string]string{
	"lib/kubelet":    "/var/lib/kubelet",
	"lib/containerd": "/var/lib/containerd",
	"lib/cni":        "/var/lib/cni",
	"log/pods":       "/var/log/pods",
	"log/containers": "/var/log/containers",
	"run/containerd": "/run/containerd",
}

// node is process 1: it mounts, starts containerd and the kubelet, and reaps their orphans. It returns an error when one
// of the two ends, and nil after SIGTERM.
func node(dir string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	c, err := open(dir)
	if err != nil {
		return err
	}
	if err := c.mountNode(); err != nil {
		return err
	}
	ended := make(chan exit)
	containerd, err := c.child("containerd", "containerd", "--config", c.path("conf/containerd.toml"))
	if err != nil {
		return err
	}
	go collect(ended)
	for _, wait := range []func() (bool, error){c.containerdAnswers, c.apiServerAnswers} {
		if over, err := c.waitFor(wait, ended, stop, containerd, 0); over || err != nil {
			return err
		}
	}
	kubelet, err := c.kubelet()
	for err == nil {
		never := func() (bool, error) { return false, nil }
		over, failed := c.waitFor(never, ended, stop, containerd, kubelet)
		if failed != nil {
			return failed
		}
		if over {
			break
		}
		// The kubelet has ended, and a test holds it.
		if over, err := c.waitFor(c.kubeletLetGo, ended, stop, containerd, 0); over || err != nil {
			return err
		}
		kubelet, err = c.kubelet()
	}
	if err != nil {
		return err
	}
	// The kubelet first, so that it does not report containers as failed that end with this process.
	if err := syscall.Kill(kubelet, syscall.SIGTERM); err != nil {
		return err
	}
	for limit := time.After(time.Second); ; {
		select {
		case e := <-ended:
			if e.pid == kubelet {
				return nil
			}
		case <-limit:
			return nil // the kernel ends it with this namespace
		}
	}
}

func (c cluster) kubelet() (int, error) {
	return c.child("kubelet", os.Getenv(kubeVariable), "kubelet",
		"--config="+c.path("conf/kubelet.yaml"), "--kubeconfig="+c.path("conf/kubelet.kubeconfig"),
		"--hostname-override="+c.node(), "--root-dir=/var/lib/kubelet", "--cert-dir=/var/lib/kubelet/pki")
}

// kubeletLetGo reports whether no test holds the kubelet.
func (c cluster) kubeletLetGo() (bool, error) {
	_, err := os.Stat(c.path(kubeletHeld))
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// exit is the end of a child process.
type exit struct {
	pid    int
	status syscall.WaitStatus
}

func describe(s syscall.WaitStatus) string {
	if s.Signaled() {
		return "signal " + s.Signal().String()
	}
	return fmt.Sprintf("exit code %d", s.ExitStatus())
}

// collect sends the end of every child, including orphans of containers, until the process ends.
func collect(ended chan<- exit) {
	for {
		var e exit
		pid, err := syscall.Wait4(-1, &e.status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return // there are no children
		}
		e.pid = pid
		ended <- e
	}
}

// waitFor waits until ready returns true, a held kubelet ends, or the node has to end; then over is true.
func (c cluster) waitFor(ready func() (bool, error), ended <-chan exit, stop <-chan os.Signal, containerd, kubelet int) (over bool, err error) {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-stop:
			return true, nil
		case e := <-ended:
			switch e.pid {
			case containerd:
				return true, fmt.Errorf("containerd ended with %s, see %s", describe(e.status), c.path("log/containerd.log"))
			case kubelet:
				if free, err := c.kubeletLetGo(); err != nil {
					return true, err
				} else if !free {
					return false, os.WriteFile(c.path(kubeletHeld), []byte("ended\n"), 0o600)
				}
				return true, fmt.Errorf("kubelet ended with %s, see %s", describe(e.status), c.path("log/kubelet.log"))
			}
		case <-tick.C:
			if ok, err := ready(); ok || err != nil {
				return false, err
			}
		}
	}
}

// containerdAnswers reports whether containerd listens, and signals it to up.
func (c cluster) containerdAnswers() (bool, error) {
	conn, err := net.Dial("unix", containerdSocket)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return false, nil // not yet; its end is detected elsewhere
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(conn.Close(), os.WriteFile(c.path(containerdReady), nil, 0o600))
}

// apiServerAnswers reports whether up has signalled it: a kubelet that starts too early retries its registration only after a delay.
func (c cluster) apiServerAnswers() (bool, error) {
	_, err := os.Stat(c.path(apiServerReady))
	return err == nil, nil
}

func (c cluster) mountNode() error {
	mounts := []struct {
		source, target, kind string
		flags                uintptr
	}{
		// The node's mounts are not visible outside; inside, they are shared for mount propagation.
		{"none", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{"none", "/", "", syscall.MS_REC | syscall.MS_SHARED},
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC},
		{"tmpfs", "/run/netns", "tmpfs", 0},
	}
	for _, m := range mounts {
		if err := mount(m.source, m.target, m.kind, m.flags); err != nil {
			return err
		}
	}
	for directory, target := range nodeMounts {
		if err := mount(c.path(directory), target, "", syscall.MS_BIND); err != nil {
			return err
		}
	}
	// Shims, sockets and addresses of an earlier start do not exist any more.
	for _, directory := range []string{"/run/containerd", "/var/lib/cni"} {
		entries, err := os.ReadDir(directory)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(directory, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func mount(source, target, kind string, flags uintptr) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}

// child starts a child process of the node. collect waits for it.
func (c cluster) child(name string, args ...string) (int, error) {
	exe, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	log, err := os.OpenFile(c.path("log", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, errors.Join(err, log.Close())
	}
	p, err := os.StartProcess(exe, args, &os.ProcAttr{Files: []*os.File{null, log, log}})
	if err = errors.Join(err, null.Close(), log.Close()); err != nil {
		return 0, fmt.Errorf("start %s: %w", name, err)
	}
	return p.Pid, nil
}

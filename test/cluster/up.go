package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// up starts the cluster of the directory, which may be missing, stopped, broken or running.
func up(ctx context.Context, o options, st *status) (err error) {
	if err := ensurePackages(ctx, o.redis, st); err != nil {
		return err
	}
	selected, version, err := selectKubernetes(o.root, o.kube)
	if err != nil {
		return err
	}
	kube, err := selected.build(ctx, o, st)
	if err != nil {
		return err
	}
	runtime, err := containerd.build(ctx, o, st)
	if err != nil {
		return err
	}
	id, err := openIdentity(o.dir)
	if err != nil {
		return err
	}
	unlock, err := lockFile(ctx, filepath.Join(o.dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	s := &start{options: o, kube: kube, version: version, runtime: runtime, status: st, began: time.Now()}
	found, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	if !found {
		if err := s.begin(ctx, id); err != nil {
			return err
		}
		// Stop what a failed start has started. Its logs are kept.
		defer func() {
			if err != nil {
				err = errors.Join(err, machineClaims.end(context.WithoutCancel(ctx), s.claim))
			}
		}()
		if err := s.all(ctx); err != nil {
			return err
		}
	}
	if err := s.publish(ctx); err != nil {
		return err
	}
	s.printNext(found)
	return nil
}

// start is the start of a cluster.
type start struct {
	cluster
	options  options
	kube     string
	version  string // of Kubernetes, for example "1.30"
	runtime  string // the directory of containerd and its shim
	password string // of Redis
	agent    string // the name of the agent's image
	claim    *claim
	status   *status
	began    time.Time
	kubelet  time.Time // when it was started: earlier heartbeats are of an earlier start
}

// find reports whether the cluster is running. It stops one that is broken or runs another Kubernetes, containerd or Redis.
func (s *start) find(ctx context.Context, id identity) (bool, error) {
	cl, err := machineClaims.of(s.options.dir)
	if err != nil || cl == nil {
		return false, err
	}
	if cl.ID == id.ID && cl.Kube == s.kube && cl.Runtime == s.runtime && id.Redis == s.options.redis && cl.running() {
		s.claim, s.cluster = cl, cluster{dir: s.options.dir, number: cl.Number}
		return true, nil
	}
	return false, s.status.run("Stop the rest of an earlier start", func() error { return machineClaims.end(ctx, cl) })
}

// begin claims a number, and empties the directory if its content belongs to another number.
func (s *start) begin(ctx context.Context, id identity) error {
	cl, why, err := machineClaims.take(ctx, s.options.dir, id, s.options.number)
	if err != nil {
		return err
	}
	cl.Kube, cl.Runtime = s.kube, s.runtime
	s.claim, s.cluster = cl, cluster{dir: s.options.dir, number: cl.Number}
	if why != "" {
		s.status.say(" ! %s; this cluster gets number %d", why, cl.Number)
	}
	if misfit := id.explainMisfit(s.cluster, s.version, s.options.redis); misfit != "" {
		s.status.say(" ! %s: it starts empty", misfit)
		if err := emptyDirectory(s.options.dir); err != nil {
			return err
		}
	}
	id.Number, id.Services, id.Version, id.Redis = cl.Number, s.serviceRange(), s.version, s.options.redis
	return id.write(s.options.dir)
}

// emptyDirectory removes everything except the lock, which is held.
func emptyDirectory(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "lock" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// all starts all programs and waits until they are ready.
func (s *start) all(ctx context.Context) error {
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Certificates and configuration", s.prepare},
		{"Redis and registry", s.services},
		{"etcd and API server", s.controlPlane},
		{"containerd", s.containerd},
		{"Agent built, images pushed", s.images},
		{"Node is Ready", s.nodeReady},
		{"Default service account", s.serviceAccount},
	} {
		if err := s.status.run(step.title, func() error { return step.do(ctx) }); err != nil {
			return err
		}
	}
	s.claim.Up, s.claim.Starter = true, process{}
	return machineClaims.write(s.claim)
}

func (s *start) prepare(ctx context.Context) (err error) {
	for _, directory := range []string{"bin", "conf", "etcd", "lib/cni", "lib/containerd", "lib/kubelet", "log/containers", "log/pods", "redis", "registry", "run/containerd"} {
		if err := os.MkdirAll(s.path(directory), 0o700); err != nil {
			return err
		}
	}
	for _, file := range []string{containerdReady, apiServerReady, kubeletHeld} {
		if err := os.Remove(s.path(file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if s.password, err = redisPassword(s.cluster); err != nil {
		return err
	}
	if err := writePKI(s.cluster); err != nil {
		return err
	}
	if err := writeConfig(s.cluster, s.password); err != nil {
		return err
	}
	if err := makeCgroups(s.cluster); err != nil {
		return err
	}
	return makeBridge(ctx, s.cluster)
}

// launch starts programs and adds each to the claim immediately, so that all running programs are in the claim.
func (s *start) launch(ctx context.Context, programs ...program) error {
	for _, p := range programs {
		started, err := s.spawn(ctx, p)
		if err != nil {
			return err
		}
		s.claim.Processes = append(s.claim.Processes, started)
		if err := machineClaims.write(s.claim); err != nil {
			return err
		}
		if err := favour(started.Pid, p.nice); err != nil {
			return fmt.Errorf("set the niceness of %s: %w", started, err)
		}
	}
	return nil
}

func (s *start) log(program string) string { return s.path("log", program+".log") }

// services starts the programs without dependencies, and waits for Redis and the registry.
func (s *start) services(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := s.launch(ctx, s.etcd(s.kube), s.apiServer(s.kube), s.redis(s.options.redis), s.gatewayProgram(self), s.nodeProgram(self, s.kube, s.runtime)); err != nil {
		return err
	}
	for _, host := range []string{s.loopback(), s.gateway()} {
		if err := s.await(ctx, "Redis on "+host, []string{"redis"}, func(ctx context.Context) error {
			return pingRedis(ctx, net.JoinHostPort(host, redisPort), s.password)
		}); err != nil {
			return err
		}
	}
	return s.await(ctx, "the registry on "+s.registry(), []string{"gateway"}, func(ctx context.Context) error {
		return pingRegistry(ctx, s.registry())
	})
}

func (s *start) controlPlane(ctx context.Context) error {
	api, err := newAdminClient(s.cluster)
	if err != nil {
		return err
	}
	if err := s.await(ctx, "the API server on "+s.server(), []string{"etcd", "kube-apiserver"}, func(ctx context.Context) error {
		_, err := api.get(ctx, "/readyz")
		return err
	}); err != nil {
		return err
	}
	s.kubelet = time.Now()
	if err := os.WriteFile(s.path(apiServerReady), nil, 0o600); err != nil {
		return err
	}
	return s.launch(ctx, s.controllerManager(s.kube), s.scheduler(s.kube))
}

func (s *start) containerd(ctx context.Context) error {
	return s.await(ctx, "containerd on its socket", []string{"node"}, func(context.Context) error {
		_, err := os.Stat(s.path(containerdReady))
		return err
	})
}

func (s *start) images(ctx context.Context) error {
	built, err := buildPrograms(ctx, s.options, s.path("bin"), s.status)
	if err != nil {
		return err
	}
	s.agent, err = pushImages(ctx, s.registry(), s.options.root, built)
	return err
}

func (s *start) nodeReady(ctx context.Context) error {
	api, err := newAdminClient(s.cluster)
	if err != nil {
		return err
	}
	return s.await(ctx, "node "+s.node(), []string{"node", "kube-controller-manager"}, func(ctx context.Context) error {
		object, err := api.get(ctx, "/api/v1/nodes/"+s.node())
		if err != nil {
			return err
		}
		return nodeReady(object, s.kubelet)
	})
}

func (s *start) serviceAccount(ctx context.Context) error {
	api, err := newAdminClient(s.cluster)
	if err != nil {
		return err
	}
	return s.await(ctx, "the default service account", []string{"kube-controller-manager"}, func(ctx context.Context) error {
		_, err := api.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
		return err
	})
}

// publish updates the images and the environment file. On a running cluster, up does only this.
func (s *start) publish(ctx context.Context) (err error) {
	if s.agent == "" {
		if err := s.status.run("Agent built, images pushed", func() error { return s.images(ctx) }); err != nil {
			return err
		}
	}
	if s.password, err = redisPassword(s.cluster); err != nil {
		return err
	}
	return writeEnvironment(s.cluster, s.options.root, s.kube, s.version, s.options.redis, s.agent, s.password)
}

// printNext prints the next command.
func (s *start) printNext(found bool) {
	state := fmt.Sprintf("started in %.1fs", time.Since(s.began).Seconds())
	if found {
		state = "was running"
	}
	s.status.say("Cluster %d %s.  Next: . %s && kubectl get nodes", s.number, state, shellQuote(s.path("env")))
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// claim records that the cluster in a directory uses a number, and its processes. It is stored outside the directory,
// so that a cluster whose directory was removed can still be found and stopped.
type claim struct {
	Number    int       `json:"number"`
	Dir       string    `json:"dir"`
	ID        string    `json:"id"`      // of the directory, see identity
	Kube      string    `json:"kube"`    // the Kubernetes binary that it runs
	Runtime   string    `json:"runtime"` // the directory of its containerd
	Up        bool      `json:"up"`      // the start has completed
	Starter   process   `json:"starter"` // the launcher that is starting it
	Processes []process `json:"processes"`
}

// running reports whether nothing needs to be started.
func (cl *claim) running() bool {
	if !cl.Up {
		return false
	}
	for _, p := range cl.Processes {
		if !p.alive() {
			return false
		}
	}
	return true
}

// held reports whether the cluster is in use: its directory exists, and one of its processes is alive.
func (cl *claim) held() bool {
	if id, err := readIdentity(cl.Dir); err != nil || id.ID != cl.ID {
		return false
	}
	if cl.Starter.alive() {
		return true
	}
	for _, p := range cl.Processes {
		if p.alive() {
			return true
		}
	}
	return false
}

// claims are stored in one file per number.
type claims struct{ dir string }

// machineClaims are stored in /run, which is empty after a reboot, like the list of processes.
var machineClaims = claims{dir: "/run/brane-cluster"}

func (cs claims) file(number int) string {
	return filepath.Join(cs.dir, strconv.Itoa(number)+".json")
}

// lock prevents other launchers from choosing a number concurrently.
func (cs claims) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(cs.dir, 0o700); err != nil {
		return nil, err
	}
	return lockFile(ctx, filepath.Join(cs.dir, "lock"))
}

func (cs claims) read(number int) (*claim, error) {
	b, err := os.ReadFile(cs.file(number))
	if err != nil {
		return nil, err
	}
	cl := new(claim)
	if err := json.Unmarshal(b, cl); err != nil {
		return nil, fmt.Errorf("read %s: %w", cs.file(number), err)
	}
	return cl, nil
}

func (cs claims) write(cl *claim) error {
	b, err := json.MarshalIndent(cl, "", "  ")
	if err != nil {
		return err
	}
	// Replaced atomically, so that a launcher that is killed here does not leave a partial claim.
	tmp := cs.file(cl.Number) + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, cs.file(cl.Number))
}

func (cs claims) drop(number int) error {
	if err := os.Remove(cs.file(number)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// of returns the claim of a directory, or nil if it has none.
func (cs claims) of(dir string) (*claim, error) {
	for n := 1; n <= lastNumber; n++ {
		cl, err := cs.read(n)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if cl.Dir == dir {
			return cl, nil
		}
	}
	return nil, nil
}

// take claims a number for the directory: the one that it had, else the first free one starting at first. A cluster
// that is not in use is stopped and its number reused. The second result is the reason why a preferred number was not free.
func (cs claims) take(ctx context.Context, dir string, id identity, first int) (*claim, string, error) {
	unlock, err := cs.lock(ctx)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	self, err := thisProcess()
	if err != nil {
		return nil, "", err
	}
	number, why, err := choose(id.Number, first, func(n int) (string, error) { return cs.taken(ctx, n) })
	if err != nil {
		return nil, "", err
	}
	cl := &claim{Number: number, Dir: dir, ID: id.ID, Starter: self}
	return cl, why, cs.write(cl)
}

// choose returns the first number that is not taken, and the reason why the preferred one is.
func choose(had, first int, taken func(int) (string, error)) (number int, why string, err error) {
	numbers := make([]int, 0, lastNumber+1)
	if had != 0 {
		numbers = append(numbers, had)
	}
	for n := first; n <= lastNumber; n++ {
		numbers = append(numbers, n)
	}
	for _, n := range numbers {
		reason, err := taken(n)
		if err != nil {
			return 0, "", err
		}
		if reason == "" {
			return n, why, nil
		}
		if why == "" {
			why = fmt.Sprintf("number %d is taken: %s", n, reason)
		}
	}
	return 0, "", fmt.Errorf("no cluster number from %d to %d is free; %s", first, lastNumber, why)
}

// taken returns what uses a number, or "" if it is free. It stops a cluster that is not in use.
func (cs claims) taken(ctx context.Context, number int) (string, error) {
	c := cluster{number: number}
	switch cl, err := cs.read(number); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return "", err
	case cl.held():
		return "by the cluster in " + cl.Dir, nil
	default:
		if err := cs.end(ctx, cl); err != nil {
			return "", fmt.Errorf("stop the rest of the cluster in %s: %w", cl.Dir, err)
		}
	}
	if name, err := overlap(c); err != nil || name != "" {
		return name, err
	}
	for _, port := range loopbackPorts {
		if reason := busy(net.JoinHostPort(c.loopback(), port)); reason != "" {
			return reason, nil
		}
	}
	return "", nil
}

// busy returns the reason why an address cannot be listened on, or "".
func busy(address string) string {
	l, err := net.Listen("tcp", address)
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// end stops the processes of a claim and removes its bridge and cgroup.
func (cs claims) end(ctx context.Context, cl *claim) error {
	if err := stopAll(ctx, cl.Processes); err != nil {
		return err
	}
	c := cluster{dir: cl.Dir, number: cl.Number}
	if err := removeBridge(ctx, c); err != nil {
		return err
	}
	if err := removeCgroups(ctx, c); err != nil {
		return err
	}
	return cs.drop(cl.Number)
}

// overlap returns another network that contains addresses of the cluster, such as Podman's 10.88.0.0/16.
func overlap(c cluster) (string, error) {
	ours := []netip.Prefix{netip.MustParsePrefix(c.subnet()), netip.MustParsePrefix(c.serviceRange())}
	interfaces, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for _, i := range interfaces {
		if i.Name == c.bridge() {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // it has been removed in the meantime, as interfaces of pods are
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && slices.ContainsFunc(ours, p.Overlaps) {
				return fmt.Sprintf("interface %s has %s", i.Name, p), nil
			}
		}
	}
	return "", nil
}

// lockFile waits for an exclusive lock on the file.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for %s, which another launcher holds: %w", path, context.Cause(ctx)), f.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

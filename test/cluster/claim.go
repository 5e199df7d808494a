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

// claim says that a folder's cluster holds a number, and by which processes. It is kept outside the folder,
// so that a cluster whose folder is gone can still be found and ended.
type claim struct {
	Number    int       `json:"number"`
	Dir       string    `json:"dir"`
	ID        string    `json:"id"`      // the folder's, see identity
	Kube      string    `json:"kube"`    // the Kubernetes binary it was started with
	Runtime   string    `json:"runtime"` // and the folder of its containerd
	Up        bool      `json:"up"`      // the start came to its end
	Starter   process   `json:"starter"` // the launcher that is starting it
	Processes []process `json:"processes"`
}

// running is true when nothing needs to be started.
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

// held is true when someone would miss the cluster: its folder is still there, and something of it lives.
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

// claims are the machine's, a file for each number.
type claims struct{ dir string }

// machineClaims are in /run, which does not outlive the processes it tells of.
var machineClaims = claims{dir: "/run/brane-cluster"}

func (cs claims) file(number int) string {
	return filepath.Join(cs.dir, strconv.Itoa(number)+".json")
}

// lock keeps other launchers from choosing a number at the same time.
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
	// Replaced in one step: a launcher that is killed here must not leave half a claim.
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

// of finds the claim of a folder; nil where it has none.
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

// take claims a number for the folder: the one it had, else the first free one from first on. A claim that
// nobody holds is ended and taken over. The answer tells why a better number was not free.
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

// choose gives the first number that is not taken, and why the one that was wanted is.
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

// taken tells who holds a number, "" when it is free. It ends a cluster that nobody holds.
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
			return "", fmt.Errorf("end what is left of the cluster in %s: %w", cl.Dir, err)
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

// busy tells why nothing can listen on an address, "" when something can.
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

// end stops a claim's processes and takes back what its number stands for on the machine.
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

// overlap names another network that has addresses of the cluster's, as Podman's 10.88.0.0/16 does.
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
			continue // it went away meanwhile, as pods' interfaces do
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && slices.ContainsFunc(ours, p.Overlaps) {
				return fmt.Sprintf("interface %s has %s", i.Name, p), nil
			}
		}
	}
	return "", nil
}

// lockFile waits until this process alone holds the file.
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

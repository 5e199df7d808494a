package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestChoose(t *testing.T) {
	for name, tt := range map[string]struct {
		had, first int
		taken      []int
		number     int
		why        string
	}{
		"all are free":                            {first: 1, number: 1},
		"the first is taken":                      {first: 1, taken: []int{1}, number: 2, why: "number 1 is taken: by 1"},
		"the first two are taken":                 {first: 1, taken: []int{1, 2}, number: 3, why: "number 1 is taken: by 1"},
		"a lower one is free":                     {first: 2, taken: []int{2}, number: 3, why: "number 2 is taken: by 2"},
		"the directory has one":                   {had: 7, first: 1, number: 7},
		"the directory has one that is taken now": {had: 7, first: 1, taken: []int{7}, number: 1, why: "number 7 is taken: by 7"},
	} {
		t.Run(name, func(t *testing.T) {
			number, why, err := choose(tt.had, tt.first, takenBy(tt.taken...))
			if number != tt.number || why != tt.why || err != nil {
				t.Errorf("got  %d, %q, %v\nwant %d, %q, no error", number, why, err, tt.number, tt.why)
			}
		})
	}
}

func TestChooseWithNoneFree(t *testing.T) {
	_, _, err := choose(0, lastNumber, takenBy(lastNumber))
	const want = "no cluster number from 250 to 250 is free; number 250 is taken: by 250"
	if fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func takenBy(numbers ...int) func(int) (string, error) {
	return func(n int) (string, error) {
		for _, taken := range numbers {
			if n == taken {
				return fmt.Sprintf("by %d", n), nil
			}
		}
		return "", nil
	}
}

func TestClaimsAreFoundByDirectory(t *testing.T) {
	cs := claims{dir: t.TempDir()}
	for n, dir := range map[int]string{3: "/a", 200: "/b"} {
		if err := cs.write(&claim{Number: n, Dir: dir}); err != nil {
			t.Fatal(err)
		}
	}
	if cl, err := cs.of("/b"); err != nil || cl == nil || cl.Number != 200 {
		t.Errorf("got %+v, %v, want the claim of number 200", cl, err)
	}
	if err := cs.drop(200); err != nil {
		t.Fatal(err)
	}
	if cl, err := cs.of("/b"); err != nil || cl != nil {
		t.Errorf("after drop: got %+v, %v, want none", cl, err)
	}
	if err := cs.drop(200); err != nil {
		t.Errorf("drop a missing claim: %v", err)
	}
}

func TestHeld(t *testing.T) {
	self, err := thisProcess()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	dead := process{Name: "etcd", Pid: self.Pid, Start: "1", Boot: self.Boot}
	for name, tt := range map[string]struct {
		claim claim
		want  bool
	}{
		"a process lives":                         {claim{Dir: dir, ID: id.ID, Processes: []process{dead, self}}, true},
		"it is being started":                     {claim{Dir: dir, ID: id.ID, Starter: self}, true},
		"no process lives":                        {claim{Dir: dir, ID: id.ID, Starter: dead, Processes: []process{dead}}, false},
		"the directory was removed":               {claim{Dir: filepath.Join(dir, "gone"), ID: id.ID, Processes: []process{self}}, false},
		"another directory has the same path now": {claim{Dir: dir, ID: "other", Processes: []process{self}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.claim.held(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRunning(t *testing.T) {
	self, err := thisProcess()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		claim claim
		want  bool
	}{
		"started and alive":           {claim{Up: true, Processes: []process{self}}, true},
		"the start has not completed": {claim{Processes: []process{self}}, false},
		"one has ended":               {claim{Up: true, Processes: []process{self, {Name: "etcd", Pid: 1, Start: "none"}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.claim.running(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLockFileWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() {
		unlock, err := lockFile(t.Context(), path)
		if err == nil {
			unlock()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("two processes have the lock (%v)", err)
	default:
	}
	unlock()
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestIsCluster(t *testing.T) {
	ours, foreign := t.TempDir(), t.TempDir()
	if _, err := openIdentity(ours); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "thesis"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		dir  string
		want bool
	}{
		"a cluster's directory":         {ours, true},
		"an empty directory":            {t.TempDir(), true},
		"a missing directory":           {filepath.Join(ours, "none"), true},
		"another directory with a file": {foreign, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := isCluster(claims{dir: t.TempDir()}, tt.dir); got != tt.want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestExplainMisfit(t *testing.T) {
	c := cluster{number: 7}
	const addresses, version = "the cluster had other addresses with number ", "the cluster had another version of Kubernetes"
	const redis = "the cluster had another Redis server"
	for name, tt := range map[string]struct {
		directory identity
		want      string
	}{
		"it was never started":                        {identity{}, ""},
		"it is unchanged":                             {identity{Number: 7, Services: "10.89.7.0/24", Version: "1.30", Redis: "redis-server"}, ""},
		"it had another number":                       {identity{Number: 8, Services: "10.89.8.0/24", Version: "1.30"}, addresses + "8"},
		"its Services had other addresses":            {identity{Number: 7, Services: "10.96.0.0/16", Version: "1.30"}, addresses + "7"},
		"the address range of Services is not stored": {identity{Number: 7, Version: "1.30"}, addresses + "7"},
		"it had a later version":                      {identity{Number: 7, Services: "10.89.7.0/24", Version: "1.37"}, version},
		"the version is not stored":                   {identity{Number: 7, Services: "10.89.7.0/24"}, version},
		"it had Valkey":                               {identity{Number: 7, Services: "10.89.7.0/24", Version: "1.30", Redis: "valkey-server"}, redis},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.directory.explainMisfit(c, "1.30", "redis-server"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

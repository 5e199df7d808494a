//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// The test binary searches for the credential if this is its first argument. The other arguments are directories to search.
const asThief = "steal"

// treasures returns what the command must not find.
func treasures() []string { return []string{"s3" + "cret", "redis" + "s://", "-----BEGIN" + " "} }

// TestTheCommandCannotFindTheCredential searches where a process of the same user could: the environment, arguments, files, memory and descriptors of the agent.
func TestTheCommandCannotFindTheCredential(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, as := range map[string]func(*pod, *exec.Cmd){
		"as nobody": func(p *pod, cmd *exec.Cmd) {
			share(t, p)
			asNobody(cmd)
		},
		"as root without capabilities": func(_ *pod, cmd *exec.Cmd) {
			if os.Getuid() != 0 {
				return // the tests' own user has none
			}
			setpriv, err := exec.LookPath("setpriv")
			if err != nil {
				t.Fatal(err)
			}
			cmd.Args = append([]string{setpriv, "--bounding-set=-all", "--inh-caps=-all", cmd.Path}, cmd.Args[1:]...)
			cmd.Path = setpriv
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.StartTLS(t, "--requirepass", "s3cret")
			p := runOn(t, server.Server, nil).pod("thief", nil)
			p.writeSecret(server.URL())
			for key, content := range map[string][]byte{agent.SecretCA: server.CA, agent.SecretCert: server.Cert, agent.SecretTLS: server.Key} {
				if err := os.WriteFile(filepath.Join(p.secret, key), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.stage(); got.code != 0 {
				t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
			}
			// In a directory that the command can read.
			thief := filepath.Join(p.data, "thief")
			if err := copyFile(thief, self); err != nil {
				t.Fatal(err)
			}
			cmd := p.main(thief, asThief, p.mount, p.data)
			if p.alone {
				cmd.Path = thief
			}
			as(p, cmd)
			got := finish(t, cmd)
			if got.code != 3 || got.stdout != "looked everywhere\n" {
				t.Errorf("ended with %d: %s%s", got.code, got.stdout, got.stderr)
			}
		})
	}
}

// steal prints what it finds, and exits with 3.
func steal(directories []string) {
	parent := os.Getppid()
	proc := "/proc/" + strconv.Itoa(parent)
	look := func(where string, content []byte) {
		for _, treasure := range treasures() {
			if bytes.Contains(content, []byte(treasure)) {
				fmt.Printf("found %s in %s\n", treasure, where)
			}
		}
	}
	look("my environment", []byte(strings.Join(os.Environ(), "\n")))
	for _, name := range agent.Handed {
		if _, found := os.LookupEnv(name); found {
			fmt.Println("got", name)
		}
	}
	for _, name := range []string{"cmdline", "mountinfo", "status", "stat", "comm"} { // every user can read these
		content, _ := os.ReadFile(filepath.Join(proc, name))
		look(name, content)
	}
	for _, name := range []string{"environ", "mem", "maps", "smaps", "auxv", "pagemap", "io", "syscall", "stack"} {
		for _, at := range []string{proc, fmt.Sprintf("%s/task/%d", proc, parent)} {
			f, err := os.Open(filepath.Join(at, name))
			if err != nil {
				continue
			}
			if n, err := f.Read(make([]byte, 1)); err == nil && n > 0 { // some can be opened, but not read
				fmt.Println("read", f.Name())
			}
			_ = f.Close()
		}
	}
	for _, pattern := range []string{"fd/*", "map_files/*", "cwd", "root", "ns/*"} { // root may only list the numbers of descriptors
		links, _ := filepath.Glob(filepath.Join(proc, pattern)) // the pattern is valid
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil {
				fmt.Println("saw", link, target)
			}
			if _, err := os.Stat(link); err == nil {
				fmt.Println("followed", link)
			}
		}
	}
	for name, err := range map[string]error{"seized": unix.PtraceSeize(parent), "read its memory": readMemory(parent), "took a descriptor": takeDescriptor(parent)} {
		if !errors.Is(err, unix.EPERM) {
			fmt.Println(name, err)
		}
	}
	for _, directory := range append(directories, "/proc/self/fd") {
		err := filepath.WalkDir(directory, func(at string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || entry.Name() == "thief" || entry.Name() == "brane-agent" { // these two are programs
				return err
			}
			target, _ := os.Readlink(at)
			if strings.HasPrefix(target, "/sys/fs/cgroup/") || strings.HasPrefix(target, "anon_inode:") { // Go's own
				return nil
			}
			if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() {
				fmt.Println("a file", at)
				content, err := os.ReadFile(at)
				look(at, content)
				return err
			}
			return nil
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("looked everywhere")
	os.Exit(3)
}

func readMemory(pid int) error {
	buffer := make([]byte, 8)
	_, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &buffer[0], Len: 8}}, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
	return err
}

func takeDescriptor(pid int) error {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(process) // the thief's own
	_, err = unix.PidfdGetfd(process, 3, 0)
	return err
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// nobody is the user of a container that does not run as root.
const nobody = 65532

// share makes nobody the owner of a pod's directories. Without root, the user of the tests is used instead.
func share(t testing.TB, p *pod) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	for _, directory := range []string{p.mount, p.data} {
		for at := directory; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
			if err := os.Chmod(at, 0o755); err != nil { // a directory of the test
				t.Fatal(err)
			}
		}
		err := filepath.Walk(directory, func(at string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Chown(at, nobody, nobody)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func asNobody(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}

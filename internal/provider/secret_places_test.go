package provider_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// searched is the content of the places in which [TestAccSecrets] searches, by their names.
type searched map[string][]byte

func (p searched) add(place string, content []byte) {
	p[place] = append(append(p[place], content...), '\n')
}

// addFiles adds all files in directories. A plan file is compressed; see addPlan.
func (p searched) addFiles(t *testing.T, place string, directories ...string) {
	t.Helper()
	for _, directory := range directories {
		acctest.NoError(t, filepath.WalkDir(directory, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || strings.Contains(name, "/.terraform/") { // the provider, and the copy of its archive
				return err
			}
			content, err := os.ReadFile(name)
			p.add(place, content)
			return err
		}))
	}
}

// addPlan adds the parts of a plan file, which is a zip.
func (p searched) addPlan(t *testing.T, name string) {
	t.Helper()
	archive, err := zip.OpenReader(name)
	acctest.NoError(t, err)
	defer archive.Close()
	for _, part := range archive.File {
		opened, err := part.Open()
		acctest.NoError(t, err)
		content, err := io.ReadAll(opened)
		acctest.NoError(t, err)
		p.add("plan", content)
	}
}

// addRedis adds the values of all keys of runs.
func (p searched) addRedis(t *testing.T, runs []string) {
	t.Helper()
	client := acctest.RedisClient(t)
	for _, run := range runs {
		keys, err := acctest.RunKeys(t.Context(), client, run)
		acctest.NoError(t, err)
		for _, key := range keys {
			var content any
			switch kind := client.Type(t.Context(), key).Val(); kind {
			case "string":
				content, err = client.Get(t.Context(), key).Result()
			case "hash":
				content, err = client.HGetAll(t.Context(), key).Result()
			case "set":
				content, err = client.SMembers(t.Context(), key).Result()
			case "zset":
				content, err = client.ZRange(t.Context(), key, 0, -1).Result()
			case "list":
				content, err = client.LRange(t.Context(), key, 0, -1).Result()
			default:
				t.Fatalf("the key %s has the type %q", key, kind)
			}
			acctest.NoError(t, err)
			p.add("Redis", fmt.Append(nil, key, content))
		}
	}
}

// addLogs adds the logs of all containers in the namespace.
func (p searched) addLogs(t *testing.T, s acctest.Env) {
	t.Helper()
	var pods corev1.PodList
	acctest.NoError(t, s.Client.List(t.Context(), &pods, s.Namespace, ""))
	for _, pod := range pods.Items {
		p.add("logs of pods", []byte(s.Kubectl(t, "", "logs", "-n", s.Namespace, pod.Name, "--all-containers", "--ignore-errors")))
	}
}

// addProcesses adds the arguments and the environment of all processes of the machine, on which the pods are running as well, and the files of the containers in
// the namespace: of all mounts but Secrets.
func (p searched) addProcesses(t *testing.T, s acctest.Env) {
	t.Helper()
	var pods corev1.PodList
	acctest.NoError(t, s.Client.List(t.Context(), &pods, s.Namespace, ""))
	processes, err := filepath.Glob("/proc/[0-9]*")
	acctest.NoError(t, err)
	walked := map[string]bool{}
	for _, process := range processes {
		if process == fmt.Sprint("/proc/", os.Getpid()) {
			continue // this test gets its secrets from its environment
		}
		arguments, _ := os.ReadFile(process + "/cmdline") // the process may have ended
		environment, _ := os.ReadFile(process + "/environ")
		groups, _ := os.ReadFile(process + "/cgroup")
		kind := "others"
		for _, pod := range pods.Items {
			uid := string(pod.UID)
			if !bytes.Contains(groups, []byte(uid)) && !bytes.Contains(groups, []byte(strings.ReplaceAll(uid, "-", "_"))) {
				continue
			}
			kind = nameProcess(arguments, pod)
			if container, _ := os.Readlink(process + "/ns/mnt"); kind != "command" && kind != "others" && !walked[container] {
				walked[container] = true
				p.addContainer(t, "files of "+kind, process)
			}
		}
		if kind == "others" && bytes.Contains(groups, []byte("kubepods")) {
			continue // a pod of another test, whose command may contain the password of Redis to count its starts
		}
		p.add("arguments of "+strings.TrimSuffix(kind, " volume"), arguments)
		if kind == "others" && hasEnvironmentOfTests(environment) {
			continue
		}
		p.add("environment of "+kind, environment)
	}
}

// nameProcess returns what a process in a pod of the test is.
func nameProcess(arguments []byte, pod corev1.Pod) string {
	program, _, _ := strings.Cut(string(arguments), "\x00")
	switch {
	case path.Base(program) == "brane-engine":
		return "engine"
	case path.Base(program) != "brane-agent":
		return "command"
	case slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Image != nil }):
		return "agent volume"
	}
	return "agent"
}

// hasEnvironmentOfTests reports whether a process has the environment in which the tests were started, which contains the addresses of Redis with their passwords.
func hasEnvironmentOfTests(environment []byte) bool {
	return bytes.Contains(environment, []byte("BRANE_REDIS_URL="))
}

// addContainer adds the files that a process sees, except those that are no files on a disk, and Secrets, which a tmpfs contains.
func (p searched) addContainer(t *testing.T, place, process string) {
	t.Helper()
	mounts, err := os.ReadFile(process + "/mountinfo")
	acctest.NoError(t, err)
	skipped := map[string]bool{}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line) // 36 35 98:0 /root /mount/point options … - type source options
		separator := slices.Index(fields, "-")
		if kind := fields[separator+1]; strings.Contains(fields[3], "kubernetes.io~secret") || kind != "overlay" && kind != "ext4" && kind != "xfs" && kind != "btrfs" {
			skipped[fields[4]] = true
		}
	}
	root := process + "/root"
	p.add(place, nil)
	acctest.NoError(t, filepath.WalkDir(root+"/", func(name string, entry fs.DirEntry, err error) error {
		inside := strings.TrimPrefix(name, root)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case skipped[inside] && entry.IsDir():
			return fs.SkipDir
		case skipped[inside] || !entry.Type().IsRegular():
			return nil
		}
		if info, err := entry.Info(); err != nil || info.Size() > 8<<20 { // programs
			return err
		}
		content, err := os.ReadFile(name)
		if err == nil {
			p.add(place, content)
		}
		return nil
	}))
}

// heldSteps answers the requests of steps when release is closed.
type heldSteps struct {
	url     string
	arrived chan string
	release chan struct{}
}

func newHeldSteps(t *testing.T, address string) *heldSteps {
	t.Helper()
	h := &heldSteps{arrived: make(chan string, 10), release: make(chan struct{})}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	acctest.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.arrived <- r.URL.Path
		select {
		case <-h.release:
		case <-r.Context().Done():
		}
	}))
	acctest.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	h.url = "http://" + net.JoinHostPort(address, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)) //nolint:forcetypeassert // it is a TCP listener
	t.Cleanup(server.Close)
	return h
}

// await waits for the requests of n steps.
func (h *heldSteps) await(t *testing.T, n int, out fmt.Stringer) {
	t.Helper()
	var arrived []string
	for range n {
		select {
		case step := <-h.arrived:
			arrived = append(arrived, step)
		case <-time.After(testenv.Patience):
			t.Fatalf("only the steps %q have started\n%s", arrived, out)
		}
	}
}

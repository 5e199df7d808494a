package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/disturb"
)

// checkCommitted checks that no program of a committed step has started again, and notes the steps that are committed now.
func (s *soak) checkCommitted(ctx context.Context) error {
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	for id := range records {
		w := s.config.workflows[id[:max(strings.LastIndex(id, "-"), 0)]]
		if w == nil {
			continue // it will be destroyed
		}
		byName := map[string][]string{} // the programs of what has a commit
		for _, each := range w.steps {
			byName[each.name] = w.programs(each)
			for i := range each.completions {
				byName[fmt.Sprintf("%s.%d", each.name, i)] = []string{w.program(each, i)}
			}
		}
		keys, err := s.listCommits(ctx, id)
		if err != nil {
			return err
		}
		for key, name := range keys {
			if !s.isCurrent(key, w, byName[name]) {
				continue
			}
			for _, program := range byName[name] {
				starts, before := s.calls.countStarts(program), s.committed[program]
				if before > 0 && starts > before && !w.isDamaged {
					return fmt.Errorf("program %s was complete and has started again (%d times before, %d now)", program, before, starts)
				}
				s.committed[program] = starts
			}
		}
	}
	return nil
}

// listCommits returns the keys of all commits of a run, each with the name of its step, or of its index as "fan.3".
func (s *soak) listCommits(ctx context.Context, id string) (map[string]string, error) {
	prefix, keys := "brane:"+id+":step:", map[string]string{}
	found := s.world.store.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for found.Next(ctx) {
		keys[found.Val()], _, _ = strings.Cut(strings.TrimPrefix(found.Val(), prefix), ":")
	}
	return keys, found.Err()
}

// isCurrent reports whether a commit is one of the current generation of a workflow: a run keeps the commits of earlier generations. A commit that is found
// before one of its programs has started is an earlier one.
func (s *soak) isCurrent(key string, w *workflow, programs []string) bool {
	if _, isKnown := s.generations[key]; !isKnown {
		s.generations[key] = w.generation
		if len(programs) == 0 || slices.ContainsFunc(programs, func(program string) bool { return s.calls.countStarts(program) == 0 }) {
			s.generations[key] = w.generation - 1
		}
	}
	return s.generations[key] == w.generation
}

// checkResults checks the outputs of all runs, and how often their programs have started if that is certain.
func (s *soak) checkResults(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.options.cli, "output", "-json")
	cmd.Dir = s.options.directory
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(s.options.directory, "terraformrc"))
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("terraform output: %w", err)
	}
	type output struct {
		Size            int
		SHA256, Content string
	}
	var found map[string]struct {
		Value struct {
			Status  string
			Outputs map[string]output
		}
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return err
	}
	for name, w := range s.config.workflows {
		written := map[string]string{}
		for _, files := range w.filesOf(s.config.setGeneration) {
			for path, content := range files {
				written[path] = content
			}
		}
		got := found[name].Value
		if got.Status != "succeeded" {
			return fmt.Errorf("run %s has the status %q", name, got.Status)
		}
		for output, path := range map[string]string{"end": "out/end", "big": w.bigOutput()} {
			want, o := written[path], got.Outputs[output]
			if o.Size != len(want) || o.SHA256 != digestOfText(want) || len(want) <= 64<<10 && o.Content != want {
				return fmt.Errorf("output %s of run %s.%d has %d bytes, %.80q, and not %d, %.80q", path, name, w.generation, o.Size, o.Content, len(want), want)
			}
		}
		if err := s.checkStarts(w); err != nil {
			return err
		}
		w.isDamaged = false
	}
	return nil
}

// checkStarts checks how often each program of a run has started.
func (s *soak) checkStarts(w *workflow) error {
	for _, each := range w.steps {
		for _, program := range w.programs(each) {
			want := 1 + each.failures
			if each.isAllowed {
				want = 1 + each.retries
			}
			got := s.calls.countStarts(program)
			isCertain := !w.hasStopped && !w.isDamaged && w.failuresToCome() == 0
			if got < want || got > want && isCertain {
				return fmt.Errorf("program %s has started %d times and not %d", program, got, want)
			}
		}
	}
	return nil
}

// end destroys everything and checks that nothing is left.
func (s *soak) end(ctx context.Context) error {
	s.world.repair()
	s.label, s.commands = "end", 0
	s.print("%s the end", time.Now().Format(time.TimeOnly))
	err := errors.Join(s.removeRuns(ctx), s.destroy(ctx), s.checkNothingLeft(ctx))
	s.steady.stop()
	err = errors.Join(err, s.steady.check(), s.checkConnections(ctx), s.checkFiles())
	return errors.Join(err, s.calls.server.Close(), s.world.close(ctx))
}

// removeRuns applies a configuration without runs, after which the namespace must have the objects of the beginning.
func (s *soak) removeRuns(ctx context.Context) error {
	s.config.workflows, s.config.isLongLived = map[string]*workflow{}, false
	if err := s.settle(ctx, 1); err != nil {
		return err
	}
	if s.baseline == nil {
		return nil // the first apply has failed
	}
	var now []string
	err := await(ctx, "the deletion of what belonged to runs", func() (err error) {
		if now, err = s.listEverything(ctx); err == nil && !slices.Equal(now, s.baseline) {
			err = fmt.Errorf("the namespace has %q and not %q", now, s.baseline)
		}
		return err
	})
	return err
}

// generated is a random part of an object's name.
var generated = regexp.MustCompile(`-[a-z0-9]{5,10}$`)

// listEverything returns the kinds and names of all objects of the namespace, without events.
func (s *soak) listEverything(ctx context.Context) ([]string, error) {
	kinds, err := exec.CommandContext(ctx, "kubectl", "api-resources", "--verbs=list", "--namespaced", "-o", "name").Output()
	if err != nil {
		return nil, fmt.Errorf("kubectl api-resources: %w", err)
	}
	listed := slices.DeleteFunc(strings.Fields(string(kinds)), func(kind string) bool { return strings.HasPrefix(kind, "events") })
	out, err := exec.CommandContext(ctx, "kubectl", "get", strings.Join(listed, ","), "-n", s.world.namespace, "-o", "name", "--ignore-not-found").Output()
	if err != nil {
		return nil, fmt.Errorf("kubectl get: %w", err)
	}
	names := strings.Fields(string(out))
	for i := range names {
		names[i] = generated.ReplaceAllString(names[i], "-…")
	}
	slices.Sort(names)
	return names, nil
}

// checkNothingLeft checks after a destroy that the cluster, Redis and the files of the Brane instance have nothing any more.
func (s *soak) checkNothingLeft(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.world.namespace}}
	gone := await(ctx, "the deletion of the namespace", func() error {
		if err := s.world.admin.Get(ctx, namespace); !apierrors.IsNotFound(err) {
			return fmt.Errorf("namespace %s still exists (%w)", namespace.Name, err)
		}
		return nil
	})
	keys, err := s.world.store.Keys(ctx, "*").Result()
	if keys = slices.DeleteFunc(keys, func(key string) bool { return key == claim }); err == nil && len(keys) > 0 {
		err = fmt.Errorf("redis still has %d keys: %q", len(keys), keys[:min(len(keys), 10)])
	}
	users, usersErr := s.world.store.Do(ctx, "ACL", "USERS").StringSlice()
	for _, user := range users {
		if strings.HasPrefix(user, "brane-") && strings.HasSuffix(user, fmt.Sprintf(".%d", s.world.database)) {
			usersErr = errors.Join(usersErr, fmt.Errorf("redis still has user %s", user))
		}
	}
	infra, readErr := os.ReadFile(filepath.Join(s.world.controlPlane(), "infra.yml"))
	if readErr == nil && string(infra) != infraFile {
		readErr = fmt.Errorf("infra.yml is not as before:\n%s", infra)
	}
	secrets, secretsErr := os.ReadFile(filepath.Join(s.world.controlPlane(), "secrets.yml"))
	if errors.Is(secretsErr, os.ErrNotExist) {
		secretsErr = nil
	}
	if bytes.Contains(secrets, []byte(s.world.namespace)) {
		secretsErr = errors.New("secrets.yml still has the credentials")
	}
	return errors.Join(gone, err, usersErr, readErr, secretsErr)
}

// checkConnections checks that all processes have ended and all their connections are closed.
func (s *soak) checkConnections(ctx context.Context) error {
	return await(ctx, "connections to be closed", func() error {
		pid, err := disturb.FindProvider(os.Getpid())
		if pid != 0 {
			err = errors.Join(err, fmt.Errorf("provider %d still runs", pid))
		}
		if server, redis := s.world.server.CountConnections(), s.world.redis.CountConnections(); server+redis > 0 {
			err = errors.Join(err, fmt.Errorf("%d connections to the API server and %d to Redis are open", server, redis))
		}
		return err
	})
}

// checkFiles checks that only the expected files exist. A provider that is killed leaves its socket, which go-plugin creates.
func (s *soak) checkFiles() error {
	expected := regexp.MustCompile(`^(control-plane/(infra\.yml|secrets\.yml|\.brane-config\.lock)|tmp/plugin\d+(/plugin)?|log/.*|kubeconfig|main\.tf|terraformrc|` +
		`terraform\.tfstate(\.backup)?|\.terraform.*)$`)
	return filepath.WalkDir(s.options.directory, func(path string, entry os.DirEntry, err error) error {
		name, _ := filepath.Rel(s.options.directory, path)
		if err == nil && !entry.IsDir() && !expected.MatchString(name) {
			return fmt.Errorf("file %s is left", name)
		}
		return err
	})
}

// await waits until a check succeeds, and returns its last error.
func await(ctx context.Context, what string, check func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w", what, last)
	}
	return nil
}

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// argoWorkflows is the name of the peer that runs graphs of containers as well.
const argoWorkflows = "Argo Workflows"

// argoObjects are what Argo's controller and the containers that it adds to pods need in a namespace.
const argoObjects = `
apiVersion: v1
kind: ConfigMap
metadata: {name: workflow-controller-configmap}
data: {metricsConfig: "{enabled: false}"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: argo}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: argo}
rules: [{apiGroups: [argoproj.io], resources: [workflowtaskresults], verbs: [create, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: argo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: argo}
subjects: [{kind: ServiceAccount, name: argo}]
`

// argo is Argo's controller for the namespace of a lab.
type argo struct {
	namespace  string
	crds       string // the directory with its CustomResourceDefinitions
	controller *exec.Cmd
	log        bytes.Buffer
}

// startArgo starts the controller. The program argoexec and the directory crds are in its directory.
func startArgo(ctx context.Context, l *lab, controller string) (a *argo, err error) {
	directory := filepath.Dir(controller)
	a = &argo{namespace: l.namespace, crds: filepath.Join(directory, "crds")}
	image, err := pushExecutor(ctx, filepath.Join(directory, "argoexec"))
	if err != nil {
		return nil, err
	}
	// They must not exist, because stop deletes them with all their objects.
	if err := a.runKubectl(ctx, "", "create", "-f", a.crds); err != nil {
		return nil, err
	}
	if err := a.runKubectl(ctx, "", "wait", "--for=condition=Established", "-f", a.crds); err != nil {
		return nil, errors.Join(err, a.deleteDefinitions(ctx))
	}
	if err := a.runKubectl(ctx, argoObjects, "apply", "-f", "-"); err != nil {
		return nil, errors.Join(err, a.deleteDefinitions(ctx))
	}
	a.controller = exec.CommandContext(ctx, controller, "--namespaced", "--namespace", l.namespace, "--kubeconfig", os.Getenv("KUBECONFIG"), "--executor-image", image, "--loglevel", "error")
	a.controller.Env = append(os.Environ(), "LEADER_ELECTION_DISABLE=true")
	a.controller.Stdout, a.controller.Stderr = &a.log, &a.log
	if err := a.controller.Start(); err != nil {
		return nil, errors.Join(err, a.deleteDefinitions(ctx))
	}
	return a, nil
}

// stop stops the controller, and deletes what is not in the namespace.
func (a *argo) stop(ctx context.Context) error {
	err := a.controller.Process.Kill()
	_ = a.controller.Wait() // it was killed
	return errors.Join(err, a.deleteDefinitions(ctx))
}

// deleteDefinitions deletes the CustomResourceDefinitions.
func (a *argo) deleteDefinitions(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // also after Ctrl-C
	defer done()
	return a.runKubectl(ctx, "", "delete", "--ignore-not-found", "-f", a.crds)
}

// pushExecutor pushes an image with the program that Argo runs beside each step.
func pushExecutor(ctx context.Context, program string) (image string, err error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	err = archive.WriteHeader(&tar.Header{Name: "bin/argoexec", Mode: 0o755, Size: int64(len(content))})
	if err == nil {
		_, err = archive.Write(content)
	}
	if err = errors.Join(err, archive.Close()); err != nil {
		return "", err
	}
	added, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return "", err
	}
	built, err := mutate.AppendLayers(empty.Image, added)
	if err != nil {
		return "", err
	}
	config, err := built.ConfigFile()
	if err != nil {
		return "", err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint, config.Config.Env = []string{"argoexec"}, []string{"PATH=/bin"}
	if built, err = mutate.ConfigFile(built, config); err != nil {
		return "", err
	}
	tag, err := name.NewTag(os.Getenv("BRANE_REGISTRY")+"/argoexec:bench", name.Insecure)
	if err != nil {
		return "", err
	}
	return tag.String(), remote.Write(tag, built, remote.WithContext(ctx))
}

// runKubectl runs kubectl in the namespace.
func (a *argo) runKubectl(ctx context.Context, input string, arguments ...string) error {
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--namespace", a.namespace}, arguments...)...)
	cmd.Stdin = bytes.NewBufferString(input)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %q: %w: %s", arguments, err, said)
	}
	return nil
}

// argoTemplate is a template of a Workflow: either a container or a graph.
type argoTemplate struct {
	Name      string              `json:"name"`
	Container map[string]any      `json:"container,omitempty"`
	DAG       map[string]argoList `json:"dag,omitempty"`
}

type argoList []map[string]any

// addArgoChain adds the time of a chain of steps with the program of plain Jobs, if Argo Workflows is measured.
func (l *lab) addArgoChain(ctx context.Context, s samples, c chain) error {
	var tasks argoList
	for i := range c.length {
		task := map[string]any{"name": fmt.Sprint("step-", i), "template": "step"}
		if i > 0 {
			task["dependencies"] = []string{fmt.Sprint("step-", i-1)}
		}
		tasks = append(tasks, task)
	}
	return l.addArgo(ctx, s, tasks, c.program)
}

// addArgoMany adds the time of n containers that run concurrently, if Argo Workflows is measured.
func (l *lab) addArgoMany(ctx context.Context, s samples, n int) error {
	return l.addArgo(ctx, s, argoList{{"name": "many", "template": "step", "withSequence": map[string]any{"count": fmt.Sprint(n)}}}, "")
}

// addArgo adds the time of a Workflow of these tasks, if Argo Workflows is measured, and deletes it. The time includes two starts of kubectl, a tenth of a
// second each.
func (l *lab) addArgo(ctx context.Context, s samples, tasks argoList, program string) error {
	if l.argo == nil {
		return nil
	}
	if err := l.settle(ctx); err != nil {
		return err
	}
	workflow := l.group()
	described, err := json.Marshal(map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": map[string]any{"name": workflow},
		"spec": map[string]any{"entrypoint": "main", "serviceAccountName": "argo", "templates": []argoTemplate{
			{Name: "main", DAG: map[string]argoList{"tasks": tasks}},
			{Name: "step", Container: map[string]any{
				"image": os.Getenv("BRANE_TOOLS_IMAGE"), "command": []string{"sh", "-c"}, "args": []string{"date >> /tmp/lines; " + program},
			}},
		}},
	})
	if err != nil {
		return err
	}
	err = s.addTask(argoWorkflows, func() error {
		if err := l.argo.runKubectl(ctx, string(described), "create", "-f", "-"); err != nil {
			return err
		}
		return l.argo.runKubectl(ctx, "", "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=10m", "workflow/"+workflow)
	})
	if err != nil {
		return fmt.Errorf("run Workflow %s: %w: %s", workflow, err, l.argo.log.String())
	}
	return l.argo.runKubectl(ctx, "", "delete", "workflow", workflow)
}

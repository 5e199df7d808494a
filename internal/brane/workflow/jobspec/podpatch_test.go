package jobspec

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// badPatches are texts that are no pod patches, with a part of the error.
var badPatches = map[string]string{
	"":                               "neither metadata nor spec",
	"null":                           "neither metadata nor spec",
	"[]":                             "neither metadata nor spec",
	"{}":                             "neither metadata nor spec",
	"redis://:secret@example.org":    "neither metadata nor spec",
	"spec: {}\n---\nspec: {}\n":      "more than one document",
	"spec: {":                        "yaml: line 1",
	"spec: {}\nspec: {}":             `key "spec" already set in map`,
	"nodeSelector: {a: b}":           `unknown field "nodeSelector"; its fields are those of a pod template, metadata and spec`,
	"kind: Pod\nspec: {}":            `unknown field "kind"`,
	"spec: {NodeSelector: {a: b}}":   `unknown field "spec.NodeSelector"`,
	"spec: {restartPolicy: [Never]}": "cannot unmarshal",
	"spec: {containers: [{name: step, resources: {limit: {cpu: 1}}}]}":       `unknown field "spec.containers[0].resources.limit"`,
	"spec: {containers: [{name: step, resources: {limits: {cpu: secret}}}]}": "quantities must match the regular expression",
	"spec: {$patch: secret}":                                                 "spec.$patch: unknown directive",
	"spec: {containers: [{name: step, $match: true}]}":                       "spec.containers[0].$match: unknown directive",
	"metadata: {name: x}":                                                    "metadata.name: only labels and annotations can be patched",
	"metadata: {finalizers: [example.org/x]}":                                "metadata.finalizers: only labels and annotations",
	"metadata: {labels: {brane/run: secret}}":                                "sets the label brane/run itself; remove it",
	"metadata: {labels: {brane/run: null}}":                                  "sets the label brane/run itself; remove it",
	"metadata: {labels: {job-name: x}}":                                      "sets the label job-name itself; remove it",
	"metadata: {annotations: {a: " + strings.Repeat("b", maxPodPatch) + "}}": "bytes as JSON, more than",
	"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]": "",
}

func TestBadPodPatches(t *testing.T) {
	t.Parallel()
	for text, want := range badPatches {
		_, err := ParsePodPatch(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.80s: got %v, want %s", text, err, want)
		}
	}
}

// Patches that mean the same are the same, so that another notation runs nothing again.
func TestPodPatchesAreCanonical(t *testing.T) {
	t.Parallel()
	var first json.RawMessage
	for _, text := range []string{
		"spec:\n  hostNetwork: true\n  nodeSelector: {a: b}\n", "---\n# a comment\nspec: {nodeSelector: {a: \"b\"}, hostNetwork: true}", `{"spec": {"nodeSelector": {"a": "b"}, "hostNetwork": true}}`,
	} {
		patch := parsePatch(t, text)
		if first == nil {
			first = patch
		}
		if string(patch) != string(first) {
			t.Errorf("%s is %s, not %s", text, patch, first)
		}
	}
}

func parsePatch(t testing.TB, text string) json.RawMessage {
	t.Helper()
	patch, err := ParsePodPatch(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return patch
}

// stepWith returns a step with patches.
func stepWith(t testing.TB, patches ...string) workflow.Step {
	t.Helper()
	step := workflowtest.FullStep()
	step.Needs = nil
	for _, text := range patches {
		step.PodPatches = append(step.PodPatches, parsePatch(t, text))
	}
	return step
}

// guardedPatches change what must stay in the pod of a step, with a part of the error.
var guardedPatches = map[string]string{
	"spec: {restartPolicy: OnFailure}":                                   "spec.restartPolicy: must stay Never",
	"spec: {containers: [{image: secret}]}":                              `an element of a list has no "name", by which elements are found`,
	"spec: {containers: [{name: step, volumeMounts: [{name: secret}]}]}": `an element of a list has no "mountPath", by which elements are found`,
	"spec: {restartPolicy: null}":                                        "spec.restartPolicy: must stay Never",
	"spec: {terminationGracePeriodSeconds: 1}":                           "set termination_grace_period_seconds of the step instead",
	"spec: null": `spec.containers: container "step" must stay`,
	"spec: {$patch: replace, containers: [{name: step}]}":                                      "command and args must stay",
	"spec: {containers: null}":                                                                 `spec.containers: container "step" must stay`,
	"spec: {containers: [{name: step, $patch: delete}]}":                                       `spec.containers: container "step" must stay`,
	"spec: {containers: [{name: step, command: [sh]}]}":                                        "spec.containers[name=step]: command and args must stay",
	"spec: {containers: [{name: step, args: [x]}]}":                                            "spec.containers[name=step]: command and args must stay",
	"spec: {containers: [{name: step, image: x}]}":                                             "spec.containers[name=step].image: must stay: set image of the step",
	"spec: {containers: [{name: step, volumeMounts: []}]}":                                     "",
	"spec: {containers: [{name: step, volumeMounts: null}]}":                                   "spec.containers[name=step].volumeMounts: the mounts at and below /brane, /data",
	"spec: {containers: [{name: step, volumeMounts: [{mountPath: /data, $patch: delete}]}]}":   "spec.containers[name=step].volumeMounts: the mounts",
	"spec: {containers: [{name: step, volumeMounts: [{mountPath: /data, name: cache}]}]}":      "spec.containers[name=step].volumeMounts: the mounts",
	"spec: {containers: [{name: step, volumeMounts: [{mountPath: /data, subPath: x}]}]}":       "spec.containers[name=step].volumeMounts: the mounts",
	"spec: {containers: [{name: step, volumeMounts: [{mountPath: /data/sub/, name: cache}]}]}": "spec.containers[name=step].volumeMounts: the mounts",
	"spec: {containers: [{name: step, volumeMounts: [{mountPath: /secret, name: redis}]}]}":    "spec.containers[name=step].volumeMounts: the mounts",
	"spec: {containers: [{name: step, env: [{name: BRANE_STEP, value: '{}'}]}]}":               "spec.containers[name=step].env: the variables BRANE_STEP, BRANE_NODE",
	"spec: {containers: [{name: step, env: [{name: BRANE_ITEM, value: x}]}]}":                  "spec.containers[name=step].env: the variables",
	"spec: {containers: [{name: step, restartPolicy: Always}]}":                                "restartPolicy and restartPolicyRules cannot be set",
	"spec: {containers: [{name: step, terminationMessagePath: /data/end}]}":                    "terminationMessagePath: must stay",
	"spec: {containers: [{name: step, securityContext: {runAsUser: 7}}]}":                      "set spec.securityContext.runAsUser instead",
	"spec: {initContainers: null}":                                                             `spec.initContainers: container "stage" must stay`,
	"spec: {initContainers: [{name: stage, $patch: delete}]}":                                  `spec.initContainers: container "stage" must stay`,
	"spec: {initContainers: [{name: stage, args: [help]}]}":                                    "spec.initContainers[name=stage]: command and args must stay",
	"spec: {initContainers: [{name: stage, restartPolicy: Always}]}":                           "restartPolicy and restartPolicyRules cannot be set",
	"spec: {initContainers: [{name: stage, env: [{name: BRANE_POD, $patch: delete}]}]}":        "spec.initContainers[name=stage].env: the variables",
	"spec: {volumes: [{name: data, $patch: delete}]}":                                          `spec.volumes: volume "data" belongs to Brane`,
	"spec: {volumes: [{name: data, emptyDir: null, persistentVolumeClaim: {claimName: x}}]}":   `spec.volumes: volume "data" belongs to Brane`,
	"spec: {volumes: [{name: redis, secret: {secretName: x}}]}":                                `spec.volumes: volume "redis" belongs to Brane`,
	"spec: {volumes: [{name: brane, $patch: delete}]}":                                         `spec.volumes: volume "brane" belongs to Brane`,
	"spec: {volumes: null}":                          `spec.volumes: volume "brane" belongs to Brane`,
	"metadata: {labels: null}":                       "metadata.labels: the labels of the provider must stay",
	"metadata: {labels: {$patch: replace, team: x}}": "metadata.labels: the labels of the provider must stay",
	"metadata: null":                                 "metadata.labels: the labels of the provider must stay",
	"spec: {containers: [{name: step, $retainKeys: [name, image], image: x}]}":                                                "spec.containers[name=step]",
	"spec: {$setElementOrder/containers: [{name: step}], containers: [{name: step, $patch: delete}]}":                         `container "step" must stay`,
	"spec: {containers: [{name: step, volumeMounts: [{$patch: replace}, {mountPath: /tmp, name: tmp}]}]}":                     "spec.containers[name=step].volumeMounts: the mounts",
	"spec: {containers: [{$patch: replace}, {name: step, image: x}]}":                                                         "command and args must stay",
	"spec: {containers: [{name: step, env: [{$patch: replace}]}], initContainers: [{name: stage, env: [{$patch: replace}]}]}": ".env: the variables",
}

func TestPodPatchesCannotChangeWhatMustStay(t *testing.T) {
	t.Parallel()
	for text, want := range guardedPatches {
		graph, err := workflow.NewGraph([]workflow.Step{stepWith(t, text)})
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(CheckPodPatches(graph, workflow.InjectAuto)...)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret}")) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// allowedPatches are useful, each with a check of the patched pod.
var allowedPatches = map[string]func(corev1.PodTemplateSpec) bool{
	"metadata: {labels: {team: imaging}, annotations: {a: b}}": func(pod corev1.PodTemplateSpec) bool {
		return pod.Labels["team"] == "imaging" && pod.Annotations["a"] == "b"
	},
	"spec: {hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet, overhead: {cpu: 1}}": func(pod corev1.PodTemplateSpec) bool {
		return pod.Spec.HostNetwork && pod.Spec.DNSPolicy == corev1.DNSClusterFirstWithHostNet
	},
	"spec: {securityContext: {runAsUser: 1000680000, fsGroup: 7}}": func(pod corev1.PodTemplateSpec) bool {
		return *pod.Spec.SecurityContext.RunAsUser == 1000680000 && pod.Spec.SecurityContext.SeccompProfile != nil
	},
	"spec: {volumes: [{name: data, emptyDir: {medium: Memory}}]}": func(pod corev1.PodTemplateSpec) bool {
		return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == workflow.DataVolume && v.EmptyDir.Medium == "Memory" })
	},
	"spec: {volumes: [{name: shm, emptyDir: {medium: Memory}}], containers: [{name: step, volumeMounts: [{name: shm, mountPath: /dev/shm}]}]}": func(pod corev1.PodTemplateSpec) bool {
		return slices.ContainsFunc(findContainer(pod.Spec.Containers, workflow.StepContainer).VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/dev/shm" })
	},
	"spec: {containers: [{name: logs, image: fluent-bit, volumeMounts: [{name: data, mountPath: /data}]}]}": func(pod corev1.PodTemplateSpec) bool {
		return len(pod.Spec.Containers) == 2
	},
	"spec: {initContainers: [{name: proxy, image: proxy, restartPolicy: Always}]}": func(pod corev1.PodTemplateSpec) bool {
		return findContainer(pod.Spec.InitContainers, "proxy").Image == "proxy"
	},
	"spec: {initContainers: [{name: stage, resources: {limits: {cpu: 2}}}]}": func(pod corev1.PodTemplateSpec) bool {
		stage := findContainer(pod.Spec.InitContainers, workflow.StageContainer)
		return stage.Name == "" || stage.Resources.Limits.Cpu().Value() == 2 && stage.Image != "" // without the agent in an init container there is none
	},
	"spec: {containers: [{name: step, env: [{name: EXTRA, value: x}], imagePullPolicy: Always}]}": func(pod corev1.PodTemplateSpec) bool {
		step := findContainer(pod.Spec.Containers, workflow.StepContainer)
		return step.ImagePullPolicy == corev1.PullAlways && slices.ContainsFunc(step.Env, func(v corev1.EnvVar) bool { return v.Name == "EXTRA" })
	},
	"spec: {tolerations: null, nodeSelector: {$patch: replace, disk: nvme}}": func(pod corev1.PodTemplateSpec) bool {
		return pod.Spec.Tolerations == nil && len(pod.Spec.NodeSelector) == 1 && pod.Spec.NodeSelector["disk"] == "nvme"
	},
}

func findContainer(containers []corev1.Container, name string) corev1.Container {
	for _, container := range containers {
		if container.Name == name {
			return container
		}
	}
	return corev1.Container{}
}

func TestPodPatchesChangePods(t *testing.T) {
	t.Parallel()
	for text, isPatched := range allowedPatches {
		for _, injection := range []workflow.AgentInjection{workflow.InjectInitContainer, workflow.InjectImageVolume} {
			step := stepWith(t, text)
			job := jobOf(t, injection, Attempt{Start: checkedStart}, step.Name, step)
			if !isPatched(job.Spec.Template) {
				t.Errorf("%s, with %s: the pod is %+v", text, injection, job.Spec.Template)
			}
			step.PodPatches = nil
			if before := jobOf(t, injection, Attempt{Start: checkedStart}, step.Name, step); !equality.Semantic.DeepEqual(job.Spec.PodFailurePolicy, before.Spec.PodFailurePolicy) || !equality.Semantic.DeepEqual(job.ObjectMeta, before.ObjectMeta) {
				t.Errorf("%s, with %s: the Job has changed", text, injection)
			}
		}
	}
}

// Later patches win, and an error names the patch that is wrong.
func TestPodPatchesAreAppliedInOrder(t *testing.T) {
	t.Parallel()
	step := stepWith(t, "spec: {nodeSelector: {a: run, b: run}}", "spec: {nodeSelector: {b: defaults, c: defaults}}", "spec: {nodeSelector: {c: step}}")
	selector := jobOf(t, workflow.InjectInitContainer, Attempt{Start: checkedStart}, step.Name, step).Spec.Template.Spec.NodeSelector
	if selector["a"] != "run" || selector["b"] != "defaults" || selector["c"] != "step" {
		t.Errorf("the node selector is %v", selector)
	}
	step = stepWith(t, "spec: {hostNetwork: true}", "spec: {restartPolicy: Always}", "spec: {restartPolicy: Never}")
	graph, err := workflow.NewGraph([]workflow.Step{step})
	if err != nil {
		t.Fatal(err)
	}
	var problem *PodPatchError
	if err := errors.Join(CheckPodPatches(graph, workflow.InjectAuto)...); !errors.As(err, &problem) || problem.Index != 1 || problem.Step != step.Name {
		t.Errorf("the error is %v", err)
	}
}

// FuzzPodPatch checks that a patch that is accepted leaves what must stay, whatever it is, and that reading it again results in the same.
func FuzzPodPatch(f *testing.F) {
	for text := range badPatches {
		f.Add(text)
	}
	for text := range guardedPatches {
		f.Add(text)
	}
	for text := range allowedPatches {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		patch, err := ParsePodPatch(text)
		if err != nil {
			return
		}
		if again := parsePatch(t, string(patch)); string(again) != string(patch) {
			t.Errorf("%q is read as %s and then as %s", text, patch, again)
		}
		step := workflowtest.FullStep()
		step.Needs, step.PodPatches = nil, []json.RawMessage{patch}
		graph, err := workflow.NewGraph([]workflow.Step{step})
		if err != nil {
			t.Fatal(err)
		}
		for _, injection := range []workflow.AgentInjection{workflow.InjectInitContainer, workflow.InjectImageVolume} {
			template := Template{Spec: &workflow.Spec{ID: "run", Graph: graph, AgentImage: "agent:1"}, Injection: injection, Deadline: time.Unix(7, 0)}
			job, err := template.BuildStepJob(graph.Step(step.Name), Attempt{Number: 1, Start: checkedStart})
			if err != nil {
				if CheckPodPatches(graph, injection) == nil {
					t.Errorf("%q is refused only when the Job is built: %v", text, err)
				}
				continue
			}
			pod := job.Spec.Template.Spec
			main := findContainer(pod.Containers, workflow.StepContainer)
			isAgent := slices.ContainsFunc([]string{agent.Binary, agent.ImageMount + agent.ImageBinary}, func(program string) bool { return len(main.Command) > 0 && main.Command[0] == program })
			if pod.RestartPolicy != corev1.RestartPolicyNever || !isAgent || len(main.Args) > 0 || job.Spec.Template.Labels[workflow.StepLabel] != step.Name {
				t.Errorf("%q breaks the pod: %+v", text, job.Spec.Template)
			}
			if told, found := FindAgentStep(job); !found || told.Deadline != template.Deadline.Unix() || told.Configuration != graph.Step(step.Name).Configuration {
				t.Errorf("%q hides the description of the step: %+v", text, told)
			}
		}
	})
}

package workflow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

func quantities(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// findProblems returns the problems of a step in a graph with the steps that it needs.
func findProblems(t *testing.T, step workflow.Step) (problems []*workflow.StepError) {
	t.Helper()
	steps := []workflow.Step{step}
	for _, need := range step.Needs {
		steps = append(steps, workflow.Step{Name: need})
	}
	_, err := workflow.NewGraph(steps)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, err := range joined.Unwrap() {
		problem, ok := err.(*workflow.StepError) //nolint:errorlint // NewGraph returns nothing else
		if !ok {
			t.Fatalf("%T", err)
		}
		problems = append(problems, problem)
	}
	return problems
}

func TestStepsThatCannotBe(t *testing.T) {
	volume := func(name, path, sub string) workflow.Step {
		return workflow.Step{Volumes: []workflow.Volume{{Name: name, MountPath: path, SubPath: sub}}}
	}
	for name, tt := range map[string]struct {
		step workflow.Step
		want string // field, key, problem
	}{
		"everything at once":                     {workflowtest.FullStep(), ""},
		"a variable given twice":                 {workflow.Step{Env: map[string]string{"A": "1"}, EnvFromSecret: map[string]workflow.SecretKey{"A": {"s", "k"}}}, `env_from_secret[A]: step "x": variable A is in env as well`},
		"a secret variable given twice":          {workflow.Step{Env: map[string]string{"A": "1"}, SecretEnv: map[string]string{"A": "2"}}, `secret_env_wo[A]: step "x": variable A is in env as well`},
		"a variable of the agent's":              {workflow.Step{Env: map[string]string{"BRANE_STEP": "1"}}, `env[BRANE_STEP]: step "x": variable BRANE_STEP is one that Brane or Kubernetes sets itself`},
		"an argument beyond Linux":               {workflow.Step{Args: []string{strings.Repeat("x", 128<<10)}}, `args[]: step "x": argument 0 of args has 131072 bytes, Linux accepts at most 131071; put the text into an input`},
		"a variable beyond Linux":                {workflow.Step{Env: map[string]string{"A": strings.Repeat("x", 128<<10)}}, `env[A]: step "x": variable A has 131074 bytes, Linux accepts at most 131071; put the text into an input`},
		"an argument with a NUL byte":            {workflow.Step{Args: []string{"fine", "a\x00b"}}, `args[]: step "x": argument 1 of args has a NUL byte or is not UTF-8, and no command accepts that; put it into an input`},
		"a command that is no UTF-8":             {workflow.Step{Command: []string{"\xff"}}, `command[]: step "x": argument 0 of command has a NUL byte or is not UTF-8, and no command accepts that; put it into an input`},
		"a variable with a NUL byte":             {workflow.Step{Env: map[string]string{"A": "\x00"}}, `env[A]: step "x": variable A has a NUL byte or is not UTF-8, and no command accepts that; put it into an input`},
		"a secret variable with a NUL byte":      {workflow.Step{SecretEnv: map[string]string{"A": "\x00"}}, `secret_env_wo[A]: step "x": variable A has a NUL byte or is not UTF-8, and no command accepts that; put it into an input`},
		"an item with a NUL byte":                {workflow.Step{Completions: 1, Items: []string{"\x00"}}, `items[]: step "x": item 0 has a NUL byte or is not UTF-8, and no command accepts that; put it into an input`},
		"more than a Job holds":                  {workflow.Step{Args: strings.SplitAfter(strings.Repeat(strings.Repeat("x", 1023)+"\n", 600), "\n")}, `[]: step "x": command, args and env have 619809 bytes together, with 9 for each text; a step can have at most 524288; put them into an input`},
		"too many parts":                         {workflow.Step{Completions: 10_001}, `completions[]: step "x": 10001 indexes are more than 10000; let each do more`},
		"an item beyond Linux":                   {workflow.Step{Completions: 2, Items: []string{"a", strings.Repeat("x", 128<<10)}}, `items[]: step "x": item 1 has 131083 bytes with the name of its variable, Linux accepts at most 131071; put it into an input and let the index read it by BRANE_INDEX`},
		"many calls":                             {workflow.Step{Completions: 2, Call: &workflow.Call{Package: "p:1.0.0", Brane: branelet.V06, Kind: branelet.V06.CodeKind(), Function: "f"}}, `completions[]: step "x": a function call has one result, so it cannot have indexes; let several steps call it`},
		"parallel parts of one":                  {workflow.Step{Parallel: 2}, `parallelism[]: step "x": parallelism needs completions or items`},
		"failing parts of one":                   {workflow.Step{MaxFailedIndexes: 2}, `max_failed_indexes[]: step "x": max_failed_indexes needs completions or items`},
		"a pattern above the files":              {workflow.Step{Reads: []string{"../x"}}, `reads[]: step "x": pattern "../x": path "../x" points outside the files`},
		"a pattern that is none":                 {workflow.Step{Writes: []string{"["}}, `writes[]: step "x": pattern "[": syntax error in pattern`},
		"a resource of nobody":                   {workflow.Step{Resources: workflow.Resources{Limits: quantities("gpu", "1")}}, `resources[limits]: step "x": "gpu" is not a resource of a container: cpu, memory, ephemeral-storage, or one with a domain such as nvidia.com/gpu`},
		"half a GPU":                             {workflow.Step{Resources: workflow.Resources{Limits: quantities("nvidia.com/gpu", "500m")}}, `resources[limits]: step "x": nvidia.com/gpu is counted, and 500m is not a whole number`},
		"a GPU requested and not limited":        {workflow.Step{Resources: workflow.Resources{Requests: quantities("nvidia.com/gpu", "1")}}, `resources[requests]: step "x": the request of nvidia.com/gpu has to be the same as its limit; leave the request out`},
		"a request above the limit":              {workflow.Step{Resources: workflow.Resources{Requests: quantities("memory", "2Gi"), Limits: quantities("memory", "1Gi")}}, `resources[requests]: step "x": it requests 2Gi of memory, more than its limit of 1Gi`},
		"a request of the limit":                 {workflow.Step{Resources: workflow.Resources{Requests: quantities("cpu", "1000m"), Limits: quantities("cpu", "1")}}, ""},
		"less than nothing":                      {workflow.Step{Resources: workflow.Resources{Limits: quantities("cpu", "-1")}}, `resources[limits]: step "x": limits of cpu is negative`},
		"a group without a user":                 {workflow.Step{SecurityContext: workflow.SecurityContext{RunAsGroup: new(int64(1))}}, `security_context[run_as_group]: step "x": run_as_group needs run_as_user: a container runtime takes no group without a user`},
		"all capabilities":                       {workflow.Step{SecurityContext: workflow.SecurityContext{Capabilities: []string{"ALL"}}}, `security_context[capabilities]: step "x": capability ALL makes a container privileged; privileged steps are not supported`},
		"a capability as Linux writes it":        {workflow.Step{SecurityContext: workflow.SecurityContext{Capabilities: []string{"CAP_CHOWN"}}}, `security_context[capabilities]: step "x": capability CAP_CHOWN: Kubernetes writes it CHOWN`},
		"a capability that is none":              {workflow.Step{SecurityContext: workflow.SecurityContext{Capabilities: []string{"chown"}}}, `security_context[capabilities]: step "x": "chown" is not a capability; they are written as NET_RAW`},
		"a seccomp profile anywhere on the node": {workflow.Step{SecurityContext: workflow.SecurityContext{SeccompProfile: workflowtest.LocalhostProfile("../x.json")}}, `security_context[seccomp_profile]: step "x": localhost_profile "../x.json" is not a path below the kubelet's seccomp directory`},
		"a local seccomp profile without a name": {workflow.Step{SecurityContext: workflow.SecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost}}}, `security_context[seccomp_profile]: step "x": a seccomp profile of type Localhost needs localhost_profile`},
		"a name of no local seccomp profile":     {workflow.Step{SecurityContext: workflow.SecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined, LocalhostProfile: new("x.json")}}}, `security_context[seccomp_profile]: step "x": localhost_profile needs a seccomp profile of type Localhost, not Unconfined`},
		"a volume with a name that is none":      {volume("A_b", "/x", ""), `volumes[A_b]: step "x": volume "A_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		"a volume with Brane's name":             {volume("data", "/x", ""), `volumes[data]: step "x": volume "data" has a name that Brane uses itself`},
		"a volume in the place of the files":     {volume("v", "/data", ""), `volumes[v]: step "x": volume "v": /data belongs to Brane`},
		"a volume among the files":               {volume("v", "/data/cache", ""), `volumes[v]: step "x": volume "v": /data belongs to Brane`},
		"a volume beside the files":              {volume("v", "/database", ""), ""},
		"a volume over everything":               {volume("v", "/", ""), `volumes[v]: step "x": volume "v" would hide the whole image`},
		"a volume with a way up":                 {volume("v", "/x/../data", ""), `volumes[v]: step "x": volume "v": "/x/../data" is not an absolute path of a directory without ., .. or a colon`},
		"a part above the volume":                {volume("v", "/x", "a/../../b"), `volumes[v]: step "x": volume "v": sub_path "a/../../b" is not a path below the volume's root`},
		"two volumes in one place":               {workflow.Step{Volumes: []workflow.Volume{{Name: "a", MountPath: "/x"}, {Name: "b", MountPath: "/x"}}}, `volumes[b]: step "x": volume "b": /x belongs to volume "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.step.Name = "x"
			var got []string
			for _, problem := range findProblems(t, tt.step) {
				got = append(got, fmt.Sprintf("%s[%s]: %s", problem.Field, problem.Key, problem.Problem))
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), tt.want)
			}
		})
	}
}

// Patterns that read files that nothing provides are reported, as far as that is known.
func TestCheckReads(t *testing.T) {
	reads := func(patterns ...string) workflow.Step {
		return workflow.Step{Name: "count", Needs: []string{"split"}, Reads: patterns}
	}
	split := workflow.Step{Name: "split", Writes: []string{"parts/*"}}
	const none = `step "count" reads "corpus/**", which is none of the inputs, and no step that it needs may write it`
	for name, tt := range map[string]struct {
		steps  []workflow.Step
		inputs []string
		want   string
	}{
		"an input":                              {[]workflow.Step{split, reads("corpus/**")}, []string{"corpus/alice.txt"}, "<nil>"},
		"a set of files as an input":            {[]workflow.Step{split, reads("corpus/**/*.txt")}, []string{"corpus"}, "<nil>"},
		"what a step writes":                    {[]workflow.Step{split, reads("parts/1")}, nil, "<nil>"},
		"nothing that is there":                 {[]workflow.Step{split, reads("corpus/**")}, []string{"other/alice.txt"}, none},
		"one of several":                        {[]workflow.Step{split, reads("parts", "corpus/**")}, nil, none},
		"two of several":                        {[]workflow.Step{split, reads("corpus/**", "x")}, nil, none + "\n" + `step "count" reads "x", which is none of the inputs, and no step that it needs may write it`},
		"a step that may write anything":        {[]workflow.Step{{Name: "split"}, reads("corpus/**")}, nil, "<nil>"},
		"one before that may write anything":    {[]workflow.Step{{Name: "a"}, {Name: "split", Needs: []string{"a"}, Writes: []string{"x"}}, reads("corpus/**")}, nil, "<nil>"},
		"what only a step beside it may write":  {[]workflow.Step{split, {Name: "beside", Writes: []string{"corpus"}}, reads("corpus/**")}, nil, none},
		"nothing is read by name":               {[]workflow.Step{split, {Name: "count", Needs: []string{"split"}}}, nil, "<nil>"},
		"the first step, of a run with nothing": {[]workflow.Step{{Name: "count", Reads: []string{"corpus/**"}}}, nil, none},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := workflow.NewGraph(tt.steps)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(g.CheckReads(tt.inputs)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// The engine in the cluster reads the steps as JSON: equal values give the same text, which contains no secret.
func TestStepAsJSON(t *testing.T) {
	text := func(change func(*workflow.Step)) string {
		step := workflowtest.FullStep()
		change(&step)
		data, err := json.Marshal(step)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	base := text(func(*workflow.Step) {})
	for name, tt := range map[string]struct {
		change func(*workflow.Step)
		same   bool
	}{
		"a quantity written in another way": {func(s *workflow.Step) { s.Resources.Limits["memory"] = resource.MustParse("65536Ki") }, true},
		"the same in bytes":                 {func(s *workflow.Step) { s.Resources.Limits["memory"] = resource.MustParse("67108864") }, true},
		"another quantity":                  {func(s *workflow.Step) { s.Resources.Limits["memory"] = resource.MustParse("64M") }, false},
		"another secret":                    {func(s *workflow.Step) { s.SecretEnv["PASSWORD"] = "other" }, true},
		"another volume":                    {func(s *workflow.Step) { s.Volumes[0].MountPath = "/other" }, false},
	} {
		if got := text(tt.change); (got == base) != tt.same {
			t.Errorf("%s: %s\nand: %s", name, got, base)
		}
	}
	if strings.Contains(base, "s3cret") {
		t.Errorf("the secret is in %s", base)
	}
	var again workflow.Step
	if err := json.Unmarshal([]byte(base), &again); err != nil {
		t.Fatal(err)
	}
	if data, err := json.Marshal(again); err != nil || string(data) != base {
		t.Errorf("read again it is %s, %v", data, err)
	}
}

package workflowrun_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// What can be known at plan time fails there; nothing is contacted.
func TestAccWorkflowRun_badInput(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	const steps = `steps = { a = { image = "tools:1", command = ["true"] } }`
	step := func(more string) string {
		return `steps = { a = { image = "tools:1", command = ["true"], ` + more + ` } }`
	}
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"steps that wait for each other": {
			`steps = {
			   a = { image = "tools:1", command = ["true"], needs = ["c"] }
			   b = { image = "tools:1", command = ["true"], needs = ["a"] }
			   c = { image = "tools:1", command = ["true"], needs = ["b"] }
			 }`,
			[]string{`Cycle in steps`, `steps need each other: a → c → b → a.`},
		},
		"a step that waits for itself": {
			step(`needs = ["a"]`), []string{`steps need each other: a → a.`},
		},
		"a need that is no step": {
			step(`needs = ["b"]`), []string{`step "a" needs "b", which is not a step of this run.`},
		},
		"a step name with a capital": {
			`steps = { Count = { image = "tools:1", command = ["true"] } }`,
			[]string{`step name "Count": a lowercase RFC 1123 label must consist of`},
		},
		"a step name of 41 letters": {
			`steps = { aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = { image = "tools:1", command = ["true"] } }`,
			[]string{`must be no more than 40 characters`},
		},
		"files that nobody provides": {
			`inputs = { "corpus/alice.txt" = { content = "x" } }
			 steps = {
			   a = { image = "tools:1", command = ["true"], writes = ["parts/*"] }
			   b = { image = "tools:1", command = ["true"], needs = ["a"], reads = ["corpora/**"] }
			 }`,
			[]string{`Invalid step configuration`, `step "b" reads "corpora/**", which is none of the inputs, and no step that it needs may write it.`},
		},
		"an argument beyond Linux":     {step(`args = [format("%0131072d", 1)]`), []string{`step "a": argument 0 of args has 131072 bytes, Linux accepts at most 131071; put the text into an input.`}},
		"an argument with a NUL byte":  {step(`args = ["a\u0000b"]`), []string{`step "a": argument 0 of args has a NUL byte or is not UTF-8, and no command accepts that; put it into an input.`}},
		"a variable with a NUL byte":   {step(`env = { X = "\u0000" }`), []string{`step "a": variable X has a NUL byte or is not UTF-8`}},
		"more parts than there can be": {step(`completions = 10001`), []string{`step "a": 10001 indexes are more than 10000; let each do more.`}},
		"no step":                      {`steps = {}`, []string{`must contain at least 1 elements`}},
		"an empty command":             {`steps = { a = { image = "tools:1", command = [] } }`, []string{`must contain at least 1 elements`}},
		"an empty image":               {`steps = { a = { image = "", command = ["true"] } }`, []string{`steps["a"].image is "": invalid reference format`}},
		"a timeout that is none":       {step(`timeout = "soon"`), []string{`"soon"`}},
		"a timeout below a second":     {step(`timeout = "10ms"`), []string{`"10ms": must be at least a second.`}},
		"a user below root":            {step(`security_context = { run_as_user = -1 }`), []string{`value must be between 0 and`}},
		"a retention that ends first":  {steps + "\nretention = \"2h\"\ntimeouts = { create = \"3h\" }", []string{`Invalid retention`, `retention is 2h, but the run may take 3h (timeouts.create)`}},
		"a retention of ten minutes":   {steps + "\nretention = \"10m\"", []string{`"10m": must be at least an hour.`}},
		"an input above /data":         {steps + "\ninputs = { \"../x\" = { content = \"\" } }", []string{`"../x": must be relative, without . and .., doubled or trailing slashes.`}},
		"an absolute input":            {steps + "\ninputs = { \"/x\" = { content = \"\" } }", []string{`"/x": must be relative`}},
		"an input with a backslash":    {steps + "\ninputs = { \"a\\\\b\" = { content = \"\" } }", []string{`must hold no backslash and no control character`}},
		"an input with a newline":      {steps + "\ninputs = { \"a\\nb\" = { content = \"\" } }", []string{`must hold no backslash and no control character`}},
		"an output above /data":        {steps + "\noutputs = { x = { path = \"a/../../x\" } }", []string{`"a/../../x": must be relative`}},
		"an output that is /data":      {steps + "\noutputs = { x = { path = \".\" } }", []string{`".": must be relative`}},
		"content and source":           {steps + "\ninputs = { x = { content = \"\", source = \"x\" } }", []string{`Invalid Attribute Combination`}},
		"neither content nor source":   {steps + "\ninputs = { x = {} }", []string{`Invalid Attribute Combination`}},
		"a source that is not there":   {steps + "\ninputs = { x = { source = \"no/such/file\" } }", []string{`Failed to read input file`, `open no/such/file: no such file or directory`}},
		"a source that is a folder":    {steps + "\ninputs = { x = { source = \"/\" } }", []string{`Failed to read input file`, `is a directory`}},
		"an input below another one":   {steps + "\ninputs = { x = { content = \"\" }, \"x/y\" = { content = \"\" } }", []string{`"x/y" is below "x", which is a file.`}},
		"a variable without a name":    {step(`env = { "" = "x" }`), []string{`Invalid environment variable name`}},
		"a variable with an = inside":  {step(`env = { "a=b" = "x" }`), []string{`Invalid environment variable name`}},
		"no image at all":              {`steps = { a = { command = ["true"] } }`, []string{`Missing image`, `Step "a" has no image, and defaults has none either.`}},
		"a quantity that is none":      {step(`resources = { limits = { cpu = "lots" } }`), []string{`Invalid quantity`, `"lots"`}},
		"a request above the limit":    {steps + "\ndefaults = { resources = { requests = { cpu = 2 }, limits = { cpu = 1 } } }", []string{`Invalid step configuration`, `step "a": it requests 2 of cpu, more than its limit of 1.`}},
		"an affinity that is none":     {step(`affinity = jsonencode({ nodeAffinty = {} })`), []string{`Invalid affinity`, `unknown field "nodeAffinty"`}},
		"a volume of two kinds":        {step(`volumes = { x = { mount_path = "/x", secret = "a", config_map = "b" } }`), []string{`Invalid Attribute Combination`}},
		"a volume of no kind":          {step(`volumes = { x = { mount_path = "/x" } }`), []string{`Invalid Attribute Combination`}},
		"a volume among the files":     {step(`volumes = { x = { mount_path = "/data/x", empty_dir = {} } }`), []string{`volume "x": /data belongs to Brane.`}},
		"a secret without a version":   {steps + "\nsecret_env_wo = { a = { X = \"s3cret\" } }", []string{`Invalid Attribute Combination`, `secret_env_wo_version`}},
		"a variable given twice":       {step(`env = { X = "1" }`) + "\nsecret_env_wo = { a = { X = \"s3cret\" } }\nsecret_env_wo_version = 1", []string{`variable X is in env as well`}},
		"a secret of no step":          {steps + "\nsecret_env_wo = { b = { X = \"s3cret\" } }\nsecret_env_wo_version = 1", []string{`Unknown step`, `secret_env_wo has variables for step "b", which is not in steps. The steps are: a.`}},
		"a secret that is null":        {steps + "\nsecret_env_wo = { a = { X = null } }\nsecret_env_wo_version = 1", []string{`Null Map Value`}},
		"a privileged step":            {step(`security_context = { capabilities = { add = ["SYS_ADMIN"] } }`), []string{`capability SYS_ADMIN makes a container privileged; privileged steps are not supported.`}},
		"a size that is none":          {step(`volumes = { x = { mount_path = "/x", empty_dir = { size_limit = "lots" } } }`), []string{`Invalid quantity`, `"lots"`}},
		"a working_dir that is none":   {step(`working_dir = "tmp"`), []string{`must be an absolute path`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := false
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				ErrorCheck: func(err error) error {
					failed = true
					return acctest.CheckError(err, tt.want...)
				},
				Steps: []resource.TestStep{{Config: s.RunConfig(t, "bad", tt.body), PlanOnly: true}},
			})
			if !failed {
				t.Error("there was no error")
			}
		})
	}
}

// An infrastructure that nobody has registered is found out when it is needed: it may be made by the same apply.
func TestAccWorkflowRun_notRegistered(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, "nowhere", `steps = { a = { image = "tools:1", command = ["true"] } }`)}, []string{
		`Failed to use infrastructure`, `Looking up infrastructure "` + s.Namespace + `" to run "nowhere" on it`, `Register it with a brane_infrastructure`,
	})
}

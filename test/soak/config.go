package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// configuration is what the configuration contains besides the connections.
type configuration struct {
	workflows     map[string]*workflow
	setGeneration int
	rotation      int  // the trigger of the credential
	isLongLived   bool // the credential
	quota         int  // of Jobs, a change of the namespace
}

// write writes the configuration of the whole soak.
func (s *soak) writeConfig() error {
	w, c := s.world, s.config
	var b strings.Builder
	fmt.Fprintf(&b, `
terraform {
  required_providers {
    brane = { source = "braneframework/brane" }
  }
}

provider "brane" {
  kubernetes    = { config_path = %q }
  control_plane = { directory = %q }
  redis         = { url = %q, pod_url = %q }
}

resource "brane_namespace" "soak" {
  name           = %q
  resource_quota = { "count/jobs.batch" = "%d" }
}

resource "brane_infrastructure" "soak" {
  name        = brane_namespace.soak.name
  namespace   = brane_namespace.soak.name
  registry    = %q
  callback_to = "http://198.51.100.10:50052"
  credentials = {
    service_account   = brane_namespace.soak.service_account.name
    long_lived        = %t
    rotation_triggers = { n = "%d" }
  }
}

resource "brane_file_set" "soak" {
  name  = %q
  files = {
%s  }
}
`, w.kubeconfigFile(), w.controlPlane(), w.redisURL(0), w.redisURL(1), w.namespace, c.quota, w.registry, c.isLongLived, c.rotation, w.namespace,
		renderContents(setContent(c.setGeneration)))
	for _, name := range slices.Sorted(maps.Keys(c.workflows)) {
		s.renderWorkflow(&b, c.workflows[name])
	}
	return os.WriteFile(filepath.Join(s.options.directory, "main.tf"), []byte(b.String()), 0o600)
}

// renderWorkflow writes the resource of a workflow, and its outputs.
func (s *soak) renderWorkflow(b *strings.Builder, w *workflow) {
	inputs := renderContents(w.inputs)
	if w.usesSet {
		inputs += "    set = { file_set = brane_file_set.soak.reference }\n"
	}
	interrupt, more := "stop", ""
	if w.detaches {
		interrupt = "detach"
	}
	if w.parallelism > 0 {
		more = fmt.Sprintf("  parallelism    = %d\n", w.parallelism)
	}
	fmt.Fprintf(b, `
resource "brane_workflow_run" %q {
  name           = %q
  infrastructure = brane_infrastructure.soak.name
  triggers       = { generation = "%d" }
  wait           = %t
  prewarm        = %t
  on_interrupt   = %q
%s  defaults       = { image = %q, resources = { requests = { cpu = "10m", memory = "16Mi" } } }
  timeouts       = { create = "10m", delete = "5m" }
  inputs         = {
%s  }
  steps = {
`, w.name, w.name, w.generation, !w.isDetached, w.isPrewarmed, interrupt, more, s.world.toolsImage, inputs)
	for _, each := range w.steps {
		s.renderStep(b, w, each)
	}
	fmt.Fprintf(b, `  }
  outputs = { end = { path = "out/end" }, big = { path = %q } }
}

output %q {
  value = { outputs = brane_workflow_run.%s.outputs, status = brane_workflow_run.%s.status }
}
`, w.bigOutput(), w.name, w.name, w.name)
}

// renderStep writes a step. Its program reports its start, which can fail, and its end to the soak, and between them writes its two files.
func (s *soak) renderStep(b *strings.Builder, w *workflow, each step) {
	index, suffix := "0", ""
	if each.completions > 0 {
		index, suffix = "$BRANE_INDEX", ".$BRANE_INDEX"
	}
	call := func(what string) string {
		return fmt.Sprintf("wget -q -O /dev/null %s/%s/%s.%d/%s/%s", s.calls.url, what, w.name, w.generation, each.name, index)
	}
	command := strings.Join([]string{
		call("start"),
		"d=$(find /data -type f | sort | while read f; do cat $f; done | sha256sum | cut -c1-64)",
		"mkdir -p /data/out /data/big",
		fmt.Sprintf("head -c %d /dev/zero | tr '\\\\0' x > /data/big/%s%s", each.size, each.name, suffix),
		fmt.Sprintf("echo $d > /data/out/%s%s", each.name, suffix),
		call("end"),
	}, "; ")
	needs := make([]string, len(each.needs))
	for i, need := range each.needs {
		needs[i] = fmt.Sprintf("%q", w.steps[need].name)
	}
	fmt.Fprintf(b, "    %s = {\n      command = [\"sh\", \"-ec\", \"%s\"]\n      needs = [%s]\n      retries = %d\n      allow_failure = %t\n",
		each.name, command, strings.Join(needs, ", "), each.retries, each.isAllowed)
	if each.completions > 0 {
		fmt.Fprintf(b, "      completions = %d\n", each.completions)
	}
	b.WriteString("    }\n")
}

// renderContents returns files with their contents as attributes.
func renderContents(files map[string]string) string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "    %q = { content = %q }\n", path, files[path])
	}
	return b.String()
}

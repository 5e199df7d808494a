package workflowrun_test

import (
	"fmt"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// BenchmarkPlan plans a run of a hundred steps. Most of that is the framework, which visits each attribute of each step several times.
func BenchmarkPlan(b *testing.B) {
	directory := b.TempDir()
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: "https://203.0.113.7:6443", Insecure: true, Token: newToken(0), Namespace: "brane"})
	if err != nil {
		b.Fatal(err)
	}
	location := infra.Location{Name: "compute", Address: "203.0.113.7:6443", Namespace: "brane", Registry: "r:1", CallbackTo: "http://198.51.100.10:50052", SecretName: "compute"}
	if err := infra.Create(b.Context(), infra.NewDirectoryStore(directory, infra.V06), location, kubeconfig); err != nil {
		b.Fatal(err)
	}
	s := acctest.NewProtocol(b)
	s.RequireNoErrors(s.Configure(acctest.Object{
		"kubernetes": acctest.Object{"host": "https://203.0.113.8:6443", "token": "own"}, "control_plane": acctest.Object{"directory": directory},
	}, false).Diagnostics)
	steps := acctest.Object{}
	for i := range 100 {
		step := acctest.Object{"image": "tools:1", "command": []any{"true"}, "env": acctest.Object{"INDEX": fmt.Sprint(i)}}
		if i > 0 {
			step["needs"] = []any{fmt.Sprintf("s%d", i-1)}
		}
		steps[fmt.Sprintf("s%d", i)] = step
	}
	for b.Loop() {
		planned := s.Plan("brane_workflow_run", acctest.Object{"name": "run", "infrastructure": "compute", "steps": steps}, false)
		s.RequireNoErrors(planned.Diagnostics)
	}
}

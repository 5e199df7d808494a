package clients_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestRedisWarnings checks that the first use of a Redis shows its warnings, once.
func TestRedisWarnings(t *testing.T) {
	const (
		noDisk = "WARNING: Redis may lose files: redis persists nothing on disk (no append-only file, no snapshots): files and results are lost when it restarts"
		evicts = "WARNING: Redis may lose files: check redis: redis may evict files when its memory is full: its maxmemory-policy is allkeys-lru, " +
			"and only noeviction keeps every file; set it with CONFIG SET maxmemory-policy noeviction"
	)
	small := []string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"it keeps nothing on disk":       {nil, noDisk},
		"it may evict, which is allowed": {append(small, "--appendonly", "yes"), evicts},
		"both":                           {small, noDisk + "\n" + evicts},
		"nothing is doubtful":            {[]string{"--appendonly", "yes"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			config := acctest.Object{"redis": acctest.Object{"url": redistest.Start(t, tt.args...).URL(), "allow_eviction": true}}
			set := acctest.Object{"name": "corpus", "files": acctest.Object{"a": acctest.Object{"content": "alice"}}}
			begin := func() *acctest.Protocol {
				s := acctest.NewProtocol(t)
				s.RequireNoErrors(s.Configure(config, false).Diagnostics)
				return s
			}
			check := func(what string, said []*tfprotov6.Diagnostic) {
				t.Helper()
				if got := acctest.FormatDiagnostics(said); got != tt.want {
					t.Errorf("%s says\n%s\nwant\n%s", what, got, tt.want)
				}
			}
			s := begin()
			schema := s.Schemas.ResourceSchemas["brane_file_set"]
			plan := s.Plan("brane_file_set", set, false)
			s.RequireNoErrors(plan.Diagnostics)
			made, err := s.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
				TypeName: "brane_file_set", Config: s.EncodeObject(schema, set), PriorState: s.EncodeNull(schema), PlannedState: plan.PlannedState, PlannedIdentity: plan.PlannedIdentity,
			})
			acctest.NoError(t, err)
			check("the resource that is made", made.Diagnostics)
			refresh := func(s *acctest.Protocol) []*tfprotov6.Diagnostic {
				read, err := s.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: "brane_file_set", CurrentState: made.NewState, CurrentIdentity: made.NewIdentity})
				acctest.NoError(t, err)
				return read.Diagnostics
			}
			if again := acctest.FormatDiagnostics(refresh(s)); again != "" {
				t.Errorf("a second time it says\n%s", again)
			}
			check("the resource that is read", refresh(begin()))
			s = begin()
			file := acctest.Object{"file_set": s.DecodeString(s.DecodeAttributes(schema, made.NewState)["reference"]), "path": "a"}
			read, err := s.ReadDataSource(t.Context(), &tfprotov6.ReadDataSourceRequest{TypeName: "brane_file", Config: s.EncodeObject(s.Schemas.DataSourceSchemas["brane_file"], file)})
			acctest.NoError(t, err)
			check("the data source", read.Diagnostics)
		})
	}
}

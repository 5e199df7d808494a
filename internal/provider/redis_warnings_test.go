package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

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
			config := object{"redis": object{"url": redistest.Start(t, tt.args...).URL(), "allow_eviction": true}}
			set := object{"name": "corpus", "files": object{"a": object{"content": "alice"}}}
			begin := func() *speaker {
				s := newSpeaker(t)
				s.ok(s.configure(config, false).Diagnostics)
				return s
			}
			check := func(what string, said []*tfprotov6.Diagnostic) {
				t.Helper()
				if got := tell(said); got != tt.want {
					t.Errorf("%s says\n%s\nwant\n%s", what, got, tt.want)
				}
			}
			s := begin()
			schema := s.schemas.ResourceSchemas["brane_file_set"]
			plan := s.plan("brane_file_set", set, false)
			s.ok(plan.Diagnostics)
			made, err := s.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
				TypeName: "brane_file_set", Config: s.value(schema, set), PriorState: s.null(schema), PlannedState: plan.PlannedState, PlannedIdentity: plan.PlannedIdentity,
			})
			must(t, err)
			check("the resource that is made", made.Diagnostics)
			refresh := func(s *speaker) []*tfprotov6.Diagnostic {
				read, err := s.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: "brane_file_set", CurrentState: made.NewState, CurrentIdentity: made.NewIdentity})
				must(t, err)
				return read.Diagnostics
			}
			if again := tell(refresh(s)); again != "" {
				t.Errorf("a second time it says\n%s", again)
			}
			check("the resource that is read", refresh(begin()))
			s = begin()
			file := object{"file_set": s.text(s.answer(schema, made.NewState)["reference"]), "path": "a"}
			read, err := s.ReadDataSource(t.Context(), &tfprotov6.ReadDataSourceRequest{TypeName: "brane_file", Config: s.value(s.schemas.DataSourceSchemas["brane_file"], file)})
			must(t, err)
			check("the data source", read.Diagnostics)
		})
	}
}

package pulumi

import (
	"encoding/json"
	"os/exec"
	"testing"
)

// provider is the schemas of the provider, in the format of `terraform providers schema -json`.
type provider struct {
	Provider           block
	ResourceSchemas    map[string]block `json:"resource_schemas"`
	DataSourceSchemas  map[string]block `json:"data_source_schemas"`
	EphemeralResources map[string]block `json:"ephemeral_resource_schemas"`
	ListResources      map[string]block `json:"list_resource_schemas"`
	Actions            map[string]block `json:"action_schemas"`
	Functions          map[string]function
}

type block struct {
	Block struct{ Attributes map[string]attribute }
}

type attribute struct {
	Type                                    json.RawMessage
	NestedType                              *nestedType `json:"nested_type"`
	Required, Optional, Computed, Sensitive bool
	WriteOnly                               bool `json:"write_only"`
}

type nestedType struct {
	Attributes  map[string]attribute
	NestingMode string `json:"nesting_mode"`
}

type function struct {
	ReturnType json.RawMessage `json:"return_type"`
	Parameters []struct {
		Name string
		Type json.RawMessage
	}
}

// readProvider returns the schemas of the provider.
func readProvider(t *testing.T) provider {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./tools/schema")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go run ./tools/schema: %v", err)
	}
	var document struct {
		ProviderSchemas map[string]provider `json:"provider_schemas"`
	}
	if err := json.Unmarshal(out, &document); err != nil || len(document.ProviderSchemas) != 1 {
		t.Fatalf("there are schemas of %d providers: %v", len(document.ProviderSchemas), err)
	}
	for _, read := range document.ProviderSchemas {
		return read
	}
	panic("unreachable")
}

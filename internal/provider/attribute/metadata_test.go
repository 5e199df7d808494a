package attribute

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateMap returns what a validator reports about a map.
func validateMap(t *testing.T, v validator.Map, entries map[string]string) diag.Diagnostics {
	t.Helper()
	value, diags := types.MapValueFrom(t.Context(), types.StringType, entries)
	if diags.HasError() {
		t.Fatal(diags)
	}
	var resp validator.MapResponse
	v.ValidateMap(t.Context(), validator.MapRequest{Path: path.Root("labels"), ConfigValue: value}, &resp)
	return resp.Diagnostics
}

func TestLabelMessages(t *testing.T) {
	diags := validateMap(t, Labels(), map[string]string{"example.org/team": "has a space"})
	if len(diags) != 1 {
		t.Fatal(diags)
	}
	if got := diags[0]; got.Summary() != "Invalid label value" || !strings.HasPrefix(got.Detail(), `labels["example.org/team"] is "has a space": `) {
		t.Error(got)
	}
}

func TestAnnotationsSize(t *testing.T) {
	for size, want := range map[int]bool{apivalidation.TotalAnnotationSizeLimitB - 1: false, apivalidation.TotalAnnotationSizeLimitB: true} {
		entries := map[string]string{"a": strings.Repeat("x", size)}
		if got := validateMap(t, Annotations(), entries).HasError(); got != want {
			t.Errorf("%d bytes: error %t", size+1, got)
		}
		if got := len(apivalidation.ValidateAnnotations(entries, field.NewPath("a"))) > 0; got != want {
			t.Errorf("Kubernetes reports for %d bytes: %t", size+1, got)
		}
	}
}

func TestRefuseKeys(t *testing.T) {
	entries := types.MapValueMust(types.StringType, map[string]attr.Value{
		"mine": types.StringValue("wrong"), "yours": types.StringValue("x"), "null": types.StringNull(), "later": types.StringUnknown(),
	})
	var diags diag.Diagnostics
	RefuseKeys(path.Root("labels"), entries, func(key, value string) string {
		if key == "yours" {
			return ""
		}
		return "the provider sets it, not " + value
	}, &diags)
	if len(diags) != 1 || diags[0].Detail() != `labels["mine"]: the provider sets it, not wrong.` {
		t.Error(diags)
	}
}

// FuzzMetadata compares the validators with the functions of the API server.
func FuzzMetadata(f *testing.F) {
	for _, seed := range [][2]string{{"a", "b"}, {"example.org/team", ""}, {"Example.ORG/Team", "x"}, {"a/b/c", "-"}, {"", "\xff"}, {strings.Repeat("a", 64), strings.Repeat("b", 64)}, {"é", "é"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		entries := map[string]string{key: value}
		if got, want := validateMap(t, Labels(), entries).HasError(), len(metav1validation.ValidateLabels(entries, nil)) > 0; got != want {
			t.Errorf("label %q = %q: error %t, Kubernetes %t", key, value, got, want)
		}
		if got, want := validateMap(t, Annotations(), entries).HasError(), len(apivalidation.ValidateAnnotations(entries, nil)) > 0; got != want {
			t.Errorf("annotation %q = %q: error %t, Kubernetes %t", key, value, got, want)
		}
	})
}

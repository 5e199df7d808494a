package attribute

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"k8s.io/apimachinery/pkg/api/resource"
)

func written(value string) Quantity { return Quantity{basetypes.NewStringValue(value)} }

func TestQuantitiesThatAreTheSame(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b Quantity
		want bool
	}{
		"a thousand thousandths are one":     {written("1000m"), written("1"), true},
		"a binary prefix is a factor":        {written("1Gi"), written("1024Mi"), true},
		"a decimal prefix is another":        {written("1G"), written("1Gi"), false},
		"an exponent is a prefix":            {written("1e3"), written("1k"), true},
		"what is no quantity is never equal": {written("lots"), written("lots"), false},
		"null is null":                       {Quantity{basetypes.NewStringNull()}, Quantity{basetypes.NewStringNull()}, true},
		"null is not zero":                   {Quantity{basetypes.NewStringNull()}, written("0"), false},
		"unknown is nothing that is known":   {Quantity{basetypes.NewStringUnknown()}, written("0"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, diags := tt.a.StringSemanticEquals(t.Context(), tt.b); got != tt.want || diags.HasError() {
				t.Errorf("%s and %s: got %v, %v", tt.a, tt.b, got, diags)
			}
		})
	}
}

// Every quantity that passes validation is valid for the API server, and equal to the value that the server returns.
func FuzzQuantity(f *testing.F) {
	for _, seed := range []string{"1", "1000m", "1.5Gi", "-1", "", "1e3", "1e99999999999", "0x1", "١", " 1", "1 Gi", "+1", ".5", "9223372036854775808"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q := written(text)
		problems := quantityProblems(text)
		value, err := resource.ParseQuantity(text)
		if valid := err == nil && value.Sign() >= 0; valid != (problems == nil) {
			t.Fatalf("%q: %v, %v", text, err, problems)
		}
		if err == nil && !q.isEqual(written(value.String())) {
			t.Errorf("%q is written %q by the server, and that is not the same", text, value.String())
		}
	})
}

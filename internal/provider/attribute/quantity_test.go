package attribute

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

func written(value string) Quantity { return Quantity{basetypes.NewStringValue(value)} }

func TestQuantitiesThatAreTheSame(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b Quantity
		want bool
	}{
		"a thousand thousandths are one":              {written("1000m"), written("1"), true},
		"a binary prefix is a factor":                 {written("1Gi"), written("1024Mi"), true},
		"a decimal prefix is another":                 {written("1G"), written("1Gi"), false},
		"an exponent is a prefix":                     {written("1e3"), written("1k"), true},
		"what is no quantity is never equal":          {written("lots"), written("lots"), false},
		"exponents beyond all values are never equal": {written("1e99999999999"), written("1"), false},
		"null is null":                                {Quantity{basetypes.NewStringNull()}, Quantity{basetypes.NewStringNull()}, true},
		"null is not zero":                            {Quantity{basetypes.NewStringNull()}, written("0"), false},
		"unknown is nothing that is known":            {Quantity{basetypes.NewStringUnknown()}, written("0"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, diags := tt.a.StringSemanticEquals(t.Context(), tt.b); got != tt.want || diags.HasError() {
				t.Errorf("%s and %s: got %v, %v", tt.a, tt.b, got, diags)
			}
		})
	}
}

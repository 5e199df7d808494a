package provider_test

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// ExpectDrift checks that the plan updates a resource, or replaces it, because of just this drift.
func ExpectDrift(address string, action plancheck.ResourceActionType, sentences ...string) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(address, action),
		expectDrift{address, sentences},
	}}
}

// expectDrift checks the drift that the refresh before the plan has found: it is what the plan takes away.
type expectDrift struct {
	address   string
	sentences []string
}

func (d expectDrift) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	for _, change := range req.Plan.ResourceChanges {
		if change.Address != d.address {
			continue
		}
		found, err := tfjsonpath.Traverse(change.Change.Before, tfjsonpath.New("drift"))
		if err != nil {
			resp.Error = err
			return
		}
		var want []knownvalue.Check
		for _, sentence := range d.sentences {
			want = append(want, knownvalue.StringExact(sentence))
		}
		if err := knownvalue.ListExact(want).CheckValue(found); err != nil {
			resp.Error = fmt.Errorf("drift of %s is %q: %w", d.address, found, err)
		}
		return
	}
	resp.Error = fmt.Errorf("the plan holds nothing about %s", d.address)
}

var NoChange = []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}

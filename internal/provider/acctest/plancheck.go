package acctest

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// ExpectDrift checks that the plan updates or replaces a resource because of exactly this drift.
func ExpectDrift(address string, action plancheck.ResourceActionType, sentences ...string) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(address, action),
		NewDriftCheck(address, sentences...),
	}}
}

// NewDriftCheck returns a check that a resource has exactly this drift.
func NewDriftCheck(address string, sentences ...string) plancheck.PlanCheck {
	return driftCheck{address, sentences}
}

// driftCheck checks the drift that the refresh before the plan found. The plan removes it.
type driftCheck struct {
	address   string
	sentences []string
}

// CheckPlan implements [plancheck.PlanCheck].
func (d driftCheck) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
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
	resp.Error = fmt.Errorf("the plan does not contain %s", d.address)
}

// NoChange checks that a plan is empty.
var NoChange = []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}

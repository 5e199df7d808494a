package provider

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// warnUnreachable adds the warning that a resource was not refreshed because its cluster is unreachable. It is a warning, so that resources in other clusters
// are planned and applied. For the cluster of `kubernetes` it would be an error.
func warnUnreachable(diags *diag.Diagnostics, cluster types.String, address, what string, err error) {
	diags.AddWarning("Cluster unreachable", fmt.Sprintf(
		"Cluster %q at %s is unreachable, so that %s was not refreshed; the plan uses its last known state. Resources in other clusters are not affected.\n\n%s.",
		cluster.ValueString(), address, what, strings.TrimSuffix(err.Error(), ".")))
}

// notRefreshed adds the warning that a resource was not refreshed because the configuration of the provider is not known yet.
func notRefreshed(diags *diag.Diagnostics, what string) {
	diags.AddWarning("Resource not refreshed", fmt.Sprintf(
		"The configuration of the provider depends on a resource that is not applied yet, so that %s was not refreshed; the plan uses its last known state.", what))
}

// report adds an error whose detail states what was attempted, what came back and what to do.
func report(diags *diag.Diagnostics, summary, tried string, err error) {
	diags.AddError(summary, explain(tried, err))
}

// explain returns the detail of a diagnostic.
func explain(tried string, err error) string {
	text := tried + ": " + strings.TrimSuffix(err.Error(), ".") + "." // some servers end their sentences
	if advice := advice(err); advice != "" {
		text += "\n\n" + advice
	}
	return text
}

// bullets formats sentences as a list.
func bullets(sentences []string) string {
	return "- " + strings.Join(sentences, "\n- ")
}

func warnRedis(diags *diag.Diagnostics, warnings []string) {
	for _, warning := range warnings {
		diags.AddWarning("Redis may lose files", warning)
	}
}

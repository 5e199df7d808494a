// Package diagnostic writes errors and warnings for users: what was attempted, what came back, and what to do about it. It knows no resource.
package diagnostic

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// AddUnreachable adds the warning that a resource was not refreshed because its cluster is unreachable. It is a warning, so that resources in other clusters
// are planned and applied. For the cluster of `kubernetes` it would be an error.
func AddUnreachable(diags *diag.Diagnostics, cluster types.String, address, what string, err error) {
	diags.AddWarning("Cluster unreachable", fmt.Sprintf(
		"Cluster %q at %s is unreachable, so that %s was not refreshed; the plan uses its last known state. Resources in other clusters are not affected.\n\n%s.",
		cluster.ValueString(), address, what, strings.TrimSuffix(err.Error(), ".")))
}

// AddNotRefreshed adds the warning that a resource was not refreshed because the configuration of the provider is not known yet.
func AddNotRefreshed(diags *diag.Diagnostics, what string) {
	diags.AddWarning("Resource not refreshed", fmt.Sprintf(
		"The configuration of the provider depends on a resource that is not applied yet, so that %s was not refreshed; the plan uses its last known state.", what))
}

// AddError adds an error whose detail states what was attempted, what came back and what to do.
func AddError(diags *diag.Diagnostics, summary, tried string, err error) {
	diags.AddError(summary, ErrorDetail(tried, err))
}

// ErrorDetail returns the detail of a diagnostic.
func ErrorDetail(tried string, err error) string {
	text := tried + ": " + strings.TrimSuffix(err.Error(), ".") + "." // some servers end their sentences
	if remedy := findRemedy(err); remedy != "" {
		text += "\n\n" + remedy
	}
	return text
}

// BulletList formats sentences as a list.
func BulletList(sentences []string) string {
	return "- " + strings.Join(sentences, "\n- ")
}

// AddRedisWarnings adds the warnings about the configuration of a Redis.
func AddRedisWarnings(diags *diag.Diagnostics, warnings []string) {
	for _, warning := range warnings {
		diags.AddWarning("Redis may lose files", warning)
	}
}

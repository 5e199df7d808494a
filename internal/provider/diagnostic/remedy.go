package diagnostic

import (
	"errors"
	"fmt"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/denial"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// namespaceText matches the namespace in the texts of package kube.
var namespaceText = regexp.MustCompile(`in (?:the )?namespace "([^"]+)"`)

// findNamespace returns the namespace that an error names; it is empty if there is none.
func findNamespace(err error) string {
	if match := namespaceText.FindStringSubmatch(err.Error()); match != nil {
		return match[1]
	}
	return ""
}

// findRemedy returns what to do about an error; it is empty if that is not known.
func findRemedy(err error) string {
	var remedied interface{ Remedy() string }
	var password *namespace.MissingPasswordError
	var limit *attribute.LimitError
	denied, isDenied := denial.Find(err)
	switch {
	case errors.As(err, &remedied):
		return remedied.Remedy()
	case isDenied:
		return denied.Remedy(findNamespace(err))
	case errors.As(err, &password):
		return "Set password_wo of that registry: its Secret was deleted or modified, or password_wo_version has changed, and the provider does not store the password."
	case errors.Is(err, infra.ErrUnparsable):
		return "Nothing was written. Correct the file, then run Terraform again."
	case errors.Is(err, infra.ErrNoDirectory):
		return "Create the directory, or correct control_plane.directory in the provider block (or BRANE_CONTROL_PLANE_DIRECTORY)."
	case errors.Is(err, infra.ErrNoLocation):
		return "Register it with a brane_infrastructure, and refer to the name of that resource here, so that it is created first."
	case errors.Is(err, credentials.ErrNoAccount):
		return "Create it first with a brane_namespace. If that is part of the same apply, refer to an attribute of it that is only known after apply, such as uid."
	case errors.Is(err, credentials.ErrUnauthorized), apierrors.IsUnauthorized(err):
		return "The API server does not accept the credentials: they may have expired or been revoked. Check the kubernetes block of the provider if they are the provider's own; " +
			"apply the brane_infrastructure to renew registered credentials."
	case errors.Is(err, credentials.ErrForbidden), apierrors.IsForbidden(err):
		return "The credentials lack a permission, which the message names. Grant it with a Role or ClusterRole (see the guide \"Permissions of the provider\"), then run Terraform again."
	case errors.Is(err, files.ErrPassword):
		return "Correct user and password in redis.url of the provider block, or in BRANE_REDIS_URL."
	case errors.Is(err, files.ErrEvicts):
		return "Set `maxmemory-policy noeviction` on this Redis, or use another one: the files of a step could be evicted before the next step reads them."
	case errors.Is(err, files.ErrFull):
		return "Increase the memory of this Redis (maxmemory), or destroy runs and file sets that are no longer needed."
	case errors.Is(err, files.ErrUnreachable):
		return "Check that Redis is running and that the machine that runs Terraform can connect to redis.url in the provider block (or BRANE_REDIS_URL)."
	case errors.Is(err, credentials.ErrUnreachable):
		return "Check that the cluster is running and that the machine that runs Terraform can connect to this address. If only the Brane instance can, set verify_credentials = false."
	case kube.IsUnreachable(err):
		return "Check that the cluster is running and that the machine that runs Terraform can connect to this address."
	case errors.As(err, &limit):
		return fmt.Sprintf("Raise timeouts.%s if that needs more time, then run Terraform again.", limit.Operation)
	default:
		return ""
	}
}

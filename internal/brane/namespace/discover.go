package namespace

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Discover says how a namespace was wanted when we made it, as far as its objects tell. A namespace that is not ours has nothing to tell: then it is
// the default access for the account of the given name. The error is [ErrGone] when the namespace is not there.
func Discover(ctx context.Context, c *kube.Client, name, account string) (Spec, error) {
	spec := Spec{Name: name, ServiceAccount: account, Access: AccessRun}
	live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := c.Get(ctx, live); apierrors.IsNotFound(err) {
		return spec, ErrGone
	} else if err != nil {
		return spec, fmt.Errorf("read namespace %q: %w", name, err)
	}
	spec.Labels, spec.Annotations = owned(live)
	delete(spec.Labels, ManagedByLabel)

	var roles rbacv1.RoleList
	if err := c.List(ctx, &roles, name, ManagedByLabel+"="+ManagedBy); err != nil {
		return spec, fmt.Errorf("list roles in namespace %q: %w", name, err)
	}
	if len(roles.Items) == 0 {
		return spec, nil
	}
	role := roles.Items[0]
	spec.ServiceAccount = role.Name
	for _, access := range Accesses() {
		if sameRules(role.Rules, Access(access).Rules()) {
			spec.Access = Access(access)
		}
	}
	return spec, nil
}

// owned are the labels and annotations that we have applied: the API server keeps account of them by field manager.
func owned(ns *corev1.Namespace) (labels, annotations map[string]string) {
	labels, annotations = map[string]string{}, map[string]string{}
	for _, entry := range ns.ManagedFields {
		if entry.Manager != kube.FieldManager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil {
			continue
		}
		var fields struct {
			Metadata struct {
				Labels      map[string]any `json:"f:labels"`
				Annotations map[string]any `json:"f:annotations"`
			} `json:"f:metadata"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
			continue // a format of a later server: then nothing is known to be ours
		}
		pick(labels, ns.Labels, fields.Metadata.Labels)
		pick(annotations, ns.Annotations, fields.Metadata.Annotations)
	}
	return labels, annotations
}

func pick(into, live map[string]string, fields map[string]any) {
	for field := range fields {
		if key, ok := strings.CutPrefix(field, "f:"); ok {
			into[key] = live[key]
		}
	}
}

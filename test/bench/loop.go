package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// parallelism is the default of the CLI.
const parallelism = 10

// loopPrefix is the prefix of the namespaces of bareLoop.
const loopPrefix = prefix + "loop-"

// bareLoop only creates as many namespaces with as many objects as the provider does, through the same proxy and with the same limits.
func bareLoop(ctx context.Context, p *proxy, namespaces int) (time.Duration, error) {
	config, err := kube.Connection{Host: p.server.URL, ClusterCACertificate: p.ca()}.Config()
	if err != nil {
		return 0, err
	}
	client, err := kube.New(config)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelism)
	for i := range namespaces {
		group.Go(func() error {
			for _, object := range objects(fmt.Sprint(loopPrefix, i)) {
				if err := client.Create(ctx, object); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return time.Since(began), err
}

// objects returns a Namespace and five objects in it.
func objects(namespace string) []kube.Object {
	in := metav1.ObjectMeta{Namespace: namespace, Name: "brane"}
	limit := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")}
	return []kube.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.ServiceAccount{ObjectMeta: in},
		&rbacv1.Role{ObjectMeta: in, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}}}},
		&rbacv1.RoleBinding{ObjectMeta: in, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "brane"}},
		&corev1.ResourceQuota{ObjectMeta: in, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/jobs.batch": resource.MustParse("100")}}},
		&corev1.LimitRange{ObjectMeta: in, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Default: limit}}}},
	}
}

package namespace

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

func TestLimitRangeDefaults(t *testing.T) {
	cpu := func(value string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(value)}
	}
	for name, tt := range map[string]struct {
		limits                  LimitRange
		defaults, defaultDemand string
	}{
		"max counts as default and as request":    {LimitRange{Max: cpu("4")}, "4", "4"},
		"default counts as request":               {LimitRange{Default: cpu("2")}, "2", "2"},
		"default goes before max":                 {LimitRange{Default: cpu("2"), Max: cpu("4")}, "2", "2"},
		"min counts as request where nothing is":  {LimitRange{Min: cpu("1")}, "", "1"},
		"everything is said":                      {LimitRange{Default: cpu("3"), DefaultRequest: cpu("2"), Max: cpu("4"), Min: cpu("1")}, "3", "2"},
		"a request alone is no limit":             {LimitRange{DefaultRequest: cpu("2")}, "", "2"},
		"default goes before min for the request": {LimitRange{Default: cpu("2"), Min: cpu("1")}, "2", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			item := tt.limits.toItem()
			text := func(list corev1.ResourceList) string {
				if value, ok := list[corev1.ResourceCPU]; ok {
					return value.String()
				}
				return ""
			}
			if got := [2]string{text(item.Default), text(item.DefaultRequest)}; got != [2]string{tt.defaults, tt.defaultDemand} {
				t.Errorf("default and default request %q, want %q and %q", got, tt.defaults, tt.defaultDemand)
			}
			empty := cmp.Transformer("noEmpty", func(l corev1.ResourceList) map[string]string {
				texts := map[string]string{}
				for key, value := range l {
					texts[string(key)] = value.String()
				}
				return texts
			})
			if diff := cmp.Diff(tt.limits, limitsOf(item), empty); diff != "" {
				t.Errorf("found again: -want +got:\n%s", diff)
			}
		})
	}
}

func TestNetworkPolicies(t *testing.T) {
	n := &Network{
		DNS: true,
		Egress: map[string]Traffic{
			"callback": {CIDRs: []string{"198.51.100.10/32"}, Ports: []int32{50052}, Protocols: []string{"TCP"}},
			"all":      {CIDRs: []string{"10.0.0.0/8", "192.0.2.0/24"}, Protocols: []string{"SCTP", "TCP", "UDP"}},
		},
		Ingress: map[string]Traffic{"probe": {CIDRs: []string{"10.0.0.0/8"}, Ports: []int32{1, 2}, Protocols: []string{"TCP", "UDP"}}},
	}
	spec := Spec{Name: "ns", ServiceAccount: "a", Network: n}
	now := &inventory{children: map[string]kube.Object{}}
	for _, object := range spec.wantedObjects()[1:] {
		now.children[objectKey(object)] = object
	}
	if diff := cmp.Diff(n, networkOf(listOwned[*networkingv1.NetworkPolicy](now))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var names []string
	for name := range n.wantedPolicies() {
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"brane-default-deny", "brane-dns", "brane-egress-all", "brane-egress-callback", "brane-ingress-probe"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestPullSecretKeepsPasswords(t *testing.T) {
	with := func(password string, version int64) Spec {
		return Spec{Name: "ns", RegistryCredentials: map[string]Registry{"r": {"u", password, version}}}
	}
	live := with("first", 1).pullSecret()
	live.ManagedFields = []metav1.ManagedFieldsEntry{{
		Manager: kube.FieldManager, Operation: metav1.ManagedFieldsOperationApply,
		FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:.dockerconfigjson":{}}}`),
	}}
	for name, tt := range map[string]struct {
		spec Spec
		live *corev1.Secret
		want string // a password or an error
	}{
		"given, the same version":     {with("second", 1), live, "second"},
		"given, another version":      {with("second", 2), live, "second"},
		"not given, the same version": {with("", 1), live, "first"},
		"not given, another version":  {with("", 2), live, `the password for registry "r" is required`},
		"not given, nothing there":    {with("", 1), nil, `the password for registry "r" is required`},
		"not given, edited by others": {with("", 1), with("first", 1).pullSecret(), `the password for registry "r" is required`},
	} {
		t.Run(name, func(t *testing.T) {
			filled, err := tt.spec.withPasswords(tt.live)
			got := filled.RegistryCredentials["r"].Password
			var missing *MissingPasswordError
			if errors.As(err, &missing) {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzRegistriesOf covers pull Secrets that another client has edited.
func FuzzRegistriesOf(f *testing.F) {
	f.Add([]byte(`{"auths":{"r":{"username":"u","password":"p","auth":"dTpw"}}}`), `{"r":1}`)
	f.Add([]byte(`{"auths":null}`), ``)
	f.Add([]byte(`[]`), `{"r":"x"}`)
	f.Fuzz(func(t *testing.T, data []byte, versions string) {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{versionsAnnotation: versions}},
			Data:       map[string][]byte{corev1.DockerConfigJsonKey: data},
		}
		for host, r := range registriesOf(secret) {
			again := registriesOf(Spec{RegistryCredentials: map[string]Registry{host: r}}.pullSecret())
			if diff := cmp.Diff(map[string]Registry{host: r}, again); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestAccessRules(t *testing.T) {
	for _, access := range Accesses() {
		if len(Access(access).Rules()) == 0 {
			t.Errorf("access %q has no rules", access)
		}
	}
}

// TestCommonMetadata checks that all objects have the common labels and annotations, that more specific ones win, and that nothing replaces
// our mark.
func TestCommonMetadata(t *testing.T) {
	common := map[string]string{"team": "all", "cost": "4711", ManagedByLabel: "other", PodSecurityPrefix + "enforce": "privileged"}
	spec := Spec{
		Name: "ns", ServiceAccount: "a", Access: AccessRun, LongLivedToken: true,
		CommonLabels: common, CommonAnnotations: map[string]string{"contact": "admin"}, Settings: map[string]string{"x": "y"},
		Labels: map[string]string{"team": "imaging"}, AccountLabels: map[string]string{"cost": "42"}, PodSecurity: PodSecurity{Enforce: "restricted"},
		ResourceQuota: corev1.ResourceList{"pods": resource.MustParse("1")}, LimitRange: LimitRange{Max: corev1.ResourceList{"cpu": resource.MustParse("1")}},
		Network: &Network{DNS: true}, RegistryCredentials: map[string]Registry{"r": {"u", "p", 1}},
	}
	for _, object := range spec.wantedObjects() {
		labels, annotations := object.GetLabels(), object.GetAnnotations()
		want := map[string]string{"team": "all", "cost": "4711", ManagedByLabel: ManagedBy}
		switch object.(type) {
		case *corev1.Namespace:
			want["team"] = "imaging"
			if level := labels[PodSecurityPrefix+"enforce"]; level != "restricted" {
				t.Errorf("the namespace enforces %s", level)
			}
		case *corev1.ServiceAccount:
			want["cost"] = "42"
		}
		for key, value := range want {
			if labels[key] != value {
				t.Errorf("%s: label %s is %q, want %q", objectKey(object), key, labels[key], value)
			}
		}
		if annotations["contact"] != "admin" {
			t.Errorf("%s: annotations %v", objectKey(object), annotations)
		}
	}
	if n := len(spec.wantedObjects()); n != 10 {
		t.Errorf("%d objects", n)
	}
}

// TestNamespaceDrift checks that a label or annotation of the Namespace is drift unless [State] shows it in the map of the same name.
func TestNamespaceDrift(t *testing.T) {
	const key = "example.org/owner"
	ada, eve := map[string]string{key: "ada"}, map[string]string{key: "eve"}
	for name, tt := range map[string]struct {
		spec                Spec
		labels, annotations map[string]string
		want                []string
	}{
		"as wanted":                       {Spec{CommonLabels: ada, CommonAnnotations: eve}, ada, eve, nil},
		"a shown label":                   {Spec{Labels: ada, CommonLabels: ada}, eve, nil, nil},
		"a shown annotation":              {Spec{Annotations: ada, CommonAnnotations: ada}, nil, eve, nil},
		"a common label":                  {Spec{CommonLabels: ada}, eve, nil, []string{`Namespace "ns" has different labels: ` + key}},
		"a common annotation":             {Spec{CommonAnnotations: ada}, nil, nil, []string{`Namespace "ns" has different annotations: ` + key}},
		"a common label without a value":  {Spec{CommonLabels: map[string]string{key: ""}}, nil, nil, []string{`Namespace "ns" has different labels: ` + key}},
		"a label beside an annotation":    {Spec{CommonLabels: ada, Annotations: eve}, nil, eve, []string{`Namespace "ns" has different labels: ` + key}},
		"an annotation beside a label":    {Spec{CommonAnnotations: ada, Labels: eve}, eve, eve, []string{`Namespace "ns" has different annotations: ` + key}},
		"a setting of an earlier version": {Spec{Settings: map[string]string{"x": "y"}}, nil, nil, nil},
		"a setting that others have changed": {
			Spec{Settings: map[string]string{"x": "y"}}, nil, map[string]string{AnnotationPrefix + "x": "z"},
			[]string{`Namespace "ns" has different annotations: terraform-provider-brane/x`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.spec.Name = "ns"
			live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name: "ns", Labels: mergeMaps(tt.labels, map[string]string{ManagedByLabel: ManagedBy}), Annotations: tt.annotations,
			}}
			if diff := cmp.Diff(tt.want, tt.spec.namespaceDrift(live, tt.spec.Labels, tt.spec.Annotations)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

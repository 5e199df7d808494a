package infrastructure_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// place is the store of the two files of a Brane instance.
type place interface {
	infra.Store
	block() string // the provider's control_plane
	put(t testing.TB, name, text string)
	get(t testing.TB, name string) string // empty where it is not there
	remove(t testing.TB, name string)
}

// instance is the setting of a test with a Brane instance.
type instance struct {
	acctest.Env
	place
}

// onBothStores runs a test with an instance whose files are in a directory, and with one whose files are in a Secret.
func onBothStores(t *testing.T, test func(t *testing.T, i instance)) {
	t.Parallel()
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		test(t, newInstance(t))
	})
	t.Run("Secret", func(t *testing.T) {
		t.Parallel()
		s := acctest.NewEnv(t)
		test(t, instance{s, &secretPlace{infra.NewSecretStore(s.Client, clustertest.Namespace(t), "brane-config"), s.Client}})
	})
}

// newInstance returns an instance whose files are in a directory.
func newInstance(t *testing.T) instance {
	t.Helper()
	s := acctest.NewEnv(t)
	return instance{s, folderPlace{infra.NewDirectoryStore(s.Directory, infra.V06), s.Directory}}
}

// hcl returns a configuration of the instance, with $NAMESPACE and $REGISTRY replaced.
func (i instance) hcl(t *testing.T, body string) string {
	t.Helper()
	whole := i.Config(t, body)
	return strings.Replace(whole, i.ProviderBlock(), fmt.Sprintf("provider \"brane\" {\n  control_plane = %s\n}\n", i.block()), 1)
}

// editInfra replaces text in infra.yml.
func (i instance) editInfra(t testing.TB, from, to string) {
	t.Helper()
	text := i.get(t, "infra.yml")
	if !strings.Contains(text, from) {
		t.Fatalf("infra.yml holds no %q:\n%s", from, text)
	}
	i.put(t, "infra.yml", strings.Replace(text, from, to, 1))
}

// kubeconfig returns the kubeconfig that the instance uses.
func (i instance) kubeconfig(t testing.TB, name string) []byte {
	t.Helper()
	registration, err := infra.Lookup(context.Background(), i.place, name)
	if err != nil {
		t.Fatal(err)
	}
	return registration.Kubeconfig
}

// register replaces the registered kubeconfig.
func (i instance) register(t testing.TB, kubeconfig []byte) {
	t.Helper()
	if err := i.Update(context.Background(), func(f *infra.Files) error { return f.Secrets.SetKubeconfig("compute", kubeconfig) }); err != nil {
		t.Fatal(err)
	}
}

// holds checks the content of the files.
func (i instance) holds(t testing.TB, infraText, secretsText string) resource.TestCheckFunc {
	return func(*terraform.State) error {
		if got := i.get(t, "infra.yml"); got != infraText {
			return fmt.Errorf("infra.yml is\n%s\nand not\n%s", got, infraText)
		}
		if got := i.get(t, "secrets.yml"); got != secretsText {
			return fmt.Errorf("secrets.yml is\n%s\nand not\n%s", got, secretsText)
		}
		return nil
	}
}

type folderPlace struct {
	*infra.DirectoryStore
	folder string
}

func (p folderPlace) block() string { return fmt.Sprintf("{ directory = %q }", p.folder) }

func (p folderPlace) put(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(p.folder+"/"+name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p folderPlace) get(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(p.folder + "/" + name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

func (p folderPlace) remove(t testing.TB, name string) {
	t.Helper()
	if err := os.Remove(p.folder + "/" + name); err != nil {
		t.Fatal(err)
	}
}

type secretPlace struct {
	*infra.SecretStore
	client *kube.Client
}

func (p *secretPlace) object() *corev1.Secret {
	namespace, name, _ := strings.Cut(strings.TrimPrefix(p.String(), "Secret "), "/")
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func (p *secretPlace) block() string {
	object := p.object()
	return fmt.Sprintf("{ kubernetes_secret = { namespace = %q, name = %q } }", object.Namespace, object.Name)
}

// change modifies the data of the Secret, which it creates if necessary.
func (p *secretPlace) change(t testing.TB, change func(data map[string][]byte)) {
	t.Helper()
	object := p.object()
	err := p.client.Get(context.Background(), object)
	write := p.client.Update
	if apierrors.IsNotFound(err) {
		write, err = p.client.Create, nil
	}
	if object.Data == nil {
		object.Data = map[string][]byte{}
	}
	change(object.Data)
	if err == nil {
		err = write(context.Background(), object)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *secretPlace) put(t testing.TB, name, text string) {
	t.Helper()
	p.change(t, func(data map[string][]byte) { data[name] = []byte(text) })
}

func (p *secretPlace) get(t testing.TB, name string) string {
	t.Helper()
	object := p.object()
	if err := p.client.Get(context.Background(), object); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return string(bytes.Clone(object.Data[name]))
}

func (p *secretPlace) remove(t testing.TB, name string) {
	t.Helper()
	p.change(t, func(data map[string][]byte) { delete(data, name) })
}

// eventually repeats a function until it returns no error.
func eventually(t testing.TB, try func() error) {
	t.Helper()
	var last error
	err := testenv.Poll(t.Context(), func(context.Context) (bool, error) {
		last = try()
		return last == nil, nil
	})
	if err != nil {
		t.Fatal(last)
	}
}

// driftsLike checks that the plan updates the resource because of one drift that matches the pattern, and runs additional checks.
func driftsLike(pattern string, more ...plancheck.PlanCheck) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: append(more, plancheck.ExpectResourceAction(infrastructureAddress, plancheck.ResourceActionUpdate), driftMatches(pattern))}
}

// driftMatches checks that the refresh before the plan has found one drift, which matches the pattern.
type driftMatches string

func (d driftMatches) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	for _, change := range req.Plan.ResourceChanges {
		if change.Address != infrastructureAddress {
			continue
		}
		found, err := tfjsonpath.Traverse(change.Change.Before, tfjsonpath.New("drift"))
		if err == nil {
			err = knownvalue.ListExact([]knownvalue.Check{knownvalue.StringRegexp(regexp.MustCompile(string(d)))}).CheckValue(found)
		}
		if err != nil {
			resp.Error = fmt.Errorf("drift is %q: %w", found, err)
		}
		return
	}
	resp.Error = fmt.Errorf("the plan holds nothing about %s", infrastructureAddress)
}

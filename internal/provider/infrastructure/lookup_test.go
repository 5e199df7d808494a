package infrastructure_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// computeLocation is the location that the tests of data sources and lists register.
func (i instance) computeLocation() infra.Location {
	return infra.Location{
		Name: "compute", Address: i.address(), CallbackTo: "http://198.51.100.10:50052", Namespace: i.Namespace, Registry: "198.51.100.10:50050", MountDFS: "redis://198.51.100.10",
	}
}

func TestAccInfrastructureDataSources(t *testing.T) {
	onBothStores(t, func(t *testing.T, i instance) {
		i.submitters(t, nil)
		i.put(t, "infra.yml", othersInfra)
		i.put(t, "secrets.yml", othersSecrets)
		acctest.NoError(t, infra.Register(t.Context(), i.place, i.computeLocation(), i.token(t, "brane")))
		compute := map[string]knownvalue.Check{
			"kind": knownvalue.StringExact("kube"), "address": knownvalue.StringExact(i.address()), "namespace": knownvalue.StringExact(i.Namespace),
			"registry": knownvalue.StringExact("198.51.100.10:50050"), "callback_to": knownvalue.StringExact("http://198.51.100.10:50052"),
			"mount_dfs": knownvalue.StringExact("redis://198.51.100.10"), "proxy_address": knownvalue.Null(), "secret_name": knownvalue.StringExact("compute"),
			"service_account": knownvalue.StringExact("brane"), "expires_at": knownvalue.StringRegexp(regexp.MustCompile(`^20\d\d-.*Z$`)),
		}
		office := map[string]knownvalue.Check{
			"kind": knownvalue.StringExact("local"), "address": knownvalue.Null(), "namespace": knownvalue.Null(), "secret_name": knownvalue.Null(), "service_account": knownvalue.Null(),
		}
		var one []statecheck.StateCheck
		for name, check := range compute {
			one = append(one, statecheck.ExpectKnownValue("data.brane_infrastructure.test", tfjsonpath.New(name), check))
		}
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: acctest.ProviderFactories,
			Steps: []resource.TestStep{
				{
					Config: i.hcl(t, "data \"brane_infrastructure\" \"test\" {\n  name = \"compute\"\n}\ndata \"brane_infrastructures\" \"test\" {}\n"),
					ConfigStateChecks: append(one, statecheck.ExpectKnownValue("data.brane_infrastructures.test", tfjsonpath.New("infrastructures"), knownvalue.MapExact(map[string]knownvalue.Check{
						"compute": knownvalue.ObjectExact(compute), "office": knownvalue.ObjectPartial(office),
					}))),
				},
				{
					Config:      i.hcl(t, "data \"brane_infrastructure\" \"test\" {\n  name = \"oslo\"\n}\n"),
					ExpectError: regexp.MustCompile(`Location not found[\s\S]*infra\.yml\s+has:\s+compute,\s+office`),
				},
				{
					PreConfig: func() { i.put(t, "infra.yml", "locations: [\n") },
					Config:    i.hcl(t, "data \"brane_infrastructures\" \"test\" {}\n"), ExpectError: regexp.MustCompile(`Failed to read locations[\s\S]*infra\.yml:\d+:\d+`),
				},
			},
		})
	})
}

func TestAccInfrastructureDataSources_nothingThere(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config:            i.hcl(t, "data \"brane_infrastructures\" \"test\" {}\n"),
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue("data.brane_infrastructures.test", tfjsonpath.New("infrastructures"), knownvalue.MapSizeExact(0))},
		}},
	})
}

// A list returns the locations that can be imported, with the attributes that an import sets. Only newer CLIs than that of the tests support lists.
func TestAccInfrastructureList(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.submitters(t, nil)
	i.put(t, "infra.yml", othersInfra)
	i.put(t, "secrets.yml", othersSecrets)
	acctest.NoError(t, infra.Register(t.Context(), i.place, i.computeLocation(), i.token(t, "brane")))
	second := i.computeLocation()
	second.Name = "second"
	acctest.NoError(t, infra.Register(t.Context(), i.place, second, []byte(acctest.Kubeconfig)))

	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"control_plane": acctest.Object{"directory": i.Directory}}, false).Diagnostics)
	lister, ok := s.ProviderServer.(tfprotov6.ListResourceServer)
	if !ok {
		t.Fatal("the provider lists nothing")
	}
	schema := s.Schemas.ResourceSchemas["brane_infrastructure"]
	listed := func(limit int64) (found []string) {
		stream, err := lister.ListResource(t.Context(), &tfprotov6.ListResourceRequest{
			TypeName: "brane_infrastructure", Config: s.EncodeObject(s.Schemas.ListResourceSchemas["brane_infrastructure"], acctest.Object{}), IncludeResource: true, Limit: limit,
		})
		acctest.NoError(t, err)
		for result := range stream.Results {
			s.RequireNoErrors(result.Diagnostics)
			attributes := s.DecodeAttributes(schema, result.Resource)
			identity, err := result.Identity.IdentityData.Unmarshal(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String, "cluster": tftypes.String}})
			acctest.NoError(t, err)
			var parts map[string]tftypes.Value
			acctest.NoError(t, identity.As(&parts))
			found = append(found, s.DecodeString(parts["name"])+": "+result.DisplayName+": "+s.DecodeString(attributes["registry"]))
		}
		return found
	}
	names := []string{
		fmt.Sprintf("compute: compute (namespace %s at %s): 198.51.100.10:50050", i.Namespace, i.address()),
		fmt.Sprintf("second: second (namespace %s at %s): 198.51.100.10:50050", i.Namespace, i.address()),
	}
	if got := listed(0); !slices.Equal(got, names) {
		t.Errorf("got %q", got)
	}
	if got := listed(1); !slices.Equal(got, names[:1]) {
		t.Errorf("one of them: got %q", got)
	}

	// Import by identity, as the CLI does with what it has listed.
	identity := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String, "cluster": tftypes.String}}
	imported, err := s.ImportResourceState(t.Context(), &tfprotov6.ImportResourceStateRequest{
		TypeName: "brane_infrastructure",
		Identity: &tfprotov6.ResourceIdentityData{IdentityData: s.EncodeValue(identity, acctest.NewValue(identity, acctest.Object{"name": "compute"}))},
	})
	acctest.NoError(t, err)
	s.RequireNoErrors(imported.Diagnostics)
	read, err := s.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: "brane_infrastructure", CurrentState: imported.ImportedResources[0].State, CurrentIdentity: imported.ImportedResources[0].Identity, Private: imported.ImportedResources[0].Private,
	})
	acctest.NoError(t, err)
	s.RequireNoErrors(read.Diagnostics)
	if got := s.DecodeString(s.DecodeAttributes(schema, read.NewState)["namespace"]); got != i.Namespace {
		t.Errorf("the imported one is in namespace %q", got)
	}
}

// The action registers a new token, and the next plan of the resource is empty.
func TestAccRotateCredential(t *testing.T) {
	for _, longLived := range []bool{false, true} {
		t.Run(fmt.Sprintf("long-lived %t", longLived), func(t *testing.T) {
			t.Parallel()
			i := newInstance(t)
			i.submitters(t, nil)
			config := i.hcl(t, alone(fmt.Sprintf(`{ service_account = "brane", long_lived = %t }`, longLived)))
			var before []byte
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				Steps: []resource.TestStep{
					{Config: config},
					{
						PreConfig: func() {
							before = i.kubeconfig(t, "compute")
							s := acctest.NewProtocol(t)
							s.RequireNoErrors(s.Configure(acctest.Object{"control_plane": acctest.Object{"directory": i.Directory}}, false).Diagnostics)
							if said := s.Invoke("brane_rotate_credential", acctest.Object{"infrastructure": "compute"}); len(said) != 2 {
								t.Errorf("it says %q", said)
							}
							if string(i.kubeconfig(t, "compute")) == string(before) {
								t.Error("the credential is the old one")
							}
						},
						Config: config, ConfigPlanChecks: emptyPlan(),
					},
				},
			})
		})
	}
}

func TestAccRotateCredential_refuses(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"control_plane": acctest.Object{"directory": i.Directory}}, false).Diagnostics)
	at := `ERROR, AttributeName("infrastructure"): Failed to rotate credential: Requesting a new token for infrastructure "compute": `
	if said := s.Invoke("brane_rotate_credential", acctest.Object{"infrastructure": "compute"}); len(said) != 1 || !regexp.MustCompile(`^`+regexp.QuoteMeta(at)+`look up location`).MatchString(said[0]) {
		t.Errorf("where nothing is registered it says %q", said)
	}
	acctest.NoError(t, infra.Register(t.Context(), i.place, i.computeLocation(), []byte(acctest.Kubeconfig)))
	if said := s.Invoke("brane_rotate_credential", acctest.Object{"infrastructure": "compute"}); len(said) != 1 ||
		said[0] != at+"the registered credentials are not a token of a service account; set another kubeconfig_wo of the brane_infrastructure instead." {
		t.Errorf("with somebody's own kubeconfig it says %q", said)
	}
}

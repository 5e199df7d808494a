package plugin_test

import (
	"context"
	"runtime"
	"testing"
	"weak"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/plugin"
	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// belonging is something that belongs to one call.
type belonging struct{ of string }

// What belongs to a call is not kept when it has ended, although the framework keeps its context.
func TestCallsAreForgotten(t *testing.T) {
	t.Parallel()
	server := plugin.Forgetting(providerserver.NewProtocol6(provider.New("test")())())
	for name, call := range map[string]func(context.Context) error{
		"validate": func(ctx context.Context) error {
			_, err := server.ValidateResourceConfig(ctx, &tfprotov6.ValidateResourceConfigRequest{TypeName: "none"})
			return err
		},
		"upgrade the state": func(ctx context.Context) error {
			_, err := server.UpgradeResourceState(ctx, &tfprotov6.UpgradeResourceStateRequest{TypeName: "none"})
			return err
		},
		"upgrade the identity": func(ctx context.Context) error {
			_, err := server.UpgradeResourceIdentity(ctx, &tfprotov6.UpgradeResourceIdentityRequest{TypeName: "none"})
			return err
		},
		"read": func(ctx context.Context) error {
			_, err := server.ReadResource(ctx, &tfprotov6.ReadResourceRequest{TypeName: "none"})
			return err
		},
		"plan": func(ctx context.Context) error {
			_, err := server.PlanResourceChange(ctx, &tfprotov6.PlanResourceChangeRequest{TypeName: "none"})
			return err
		},
		"apply": func(ctx context.Context) error {
			_, err := server.ApplyResourceChange(ctx, &tfprotov6.ApplyResourceChangeRequest{TypeName: "none"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := within(t, call)
			runtime.GC()
			if of := kept.Value(); of != nil {
				t.Errorf("what belongs to %q is still held", of.of)
			}
		})
	}
	runtime.KeepAlive(server)
}

// within makes a call with a context that holds something, and returns a pointer that does not keep it. Like the CLI's, the context ends with the call.
//
//go:noinline
func within(t *testing.T, call func(context.Context) error) weak.Pointer[belonging] {
	t.Helper()
	held := &belonging{t.Name()}
	ctx, end := context.WithCancel(context.WithValue(context.Background(), belonging{}, held))
	defer end()
	if err := call(ctx); err != nil {
		t.Fatal(err)
	}
	return weak.Make(held)
}

// A CLI asks for lists and actions only where the server says by its type that there are any.
func TestCallsHideNothing(t *testing.T) {
	t.Parallel()
	server := plugin.Forgetting(providerserver.NewProtocol6(provider.New("test")())())
	if _, ok := server.(tfprotov6.ListResourceServer); !ok {
		t.Error("it lists nothing")
	}
	if _, ok := server.(tfprotov6.ActionServer); !ok {
		t.Error("it has no actions")
	}
}

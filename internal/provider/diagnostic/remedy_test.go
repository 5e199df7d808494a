package diagnostic_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// TestAdvice finds errors of the provider block when a resource needs it; the message states what to correct.
func TestAdvice(t *testing.T) {
	t.Setenv("KUBE_CONFIG_PATH", "")
	t.Setenv("BRANE_CONTROL_PLANE_DIRECTORY", "/no/such")
	kubeconfig := strings.Replace(acctest.Kubeconfig, "Q0E=", base64.StdEncoding.EncodeToString(acctest.NewCA(t)), 1)
	infrastructure := acctest.Object{
		"name": "compute", "namespace": "brane", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052", "verify_credentials": false,
		"credentials": acctest.Object{"kubeconfig_wo": kubeconfig, "kubeconfig_wo_version": 1},
	}
	const correct = "Check the cluster connection settings: kubernetes (or the entry of clusters) in the provider block, or the corresponding environment variable, such as KUBE_CONFIG_PATH."
	for name, tt := range map[string]struct {
		block    acctest.Object
		resource string
		config   acctest.Object
		want     string
	}{
		"a kubeconfig that is not there": {
			acctest.Object{"kubernetes": acctest.Object{"config_path": "/no/such"}}, "brane_namespace", acctest.Object{"name": "brane"},
			"ERROR: Failed to connect to the cluster: Connecting to create namespace \"brane\": read the kubeconfig /no/such: no such file or directory.\n\n" + correct,
		},
		"no cluster at all": {
			acctest.Object{"kubernetes": acctest.Object{}}, "brane_namespace", acctest.Object{"name": "brane"},
			"ERROR: Failed to connect to the cluster: Connecting to create namespace \"brane\": no cluster is configured: set a kubeconfig file, a host, or in_cluster = true.\n\n" + correct,
		},
		"a control plane that is not there": {
			acctest.Object{"control_plane": acctest.Object{"directory": "/no/such/place"}}, "brane_infrastructure", infrastructure,
			"ERROR: Failed to register location: Registering location \"compute\" in the directory /no/such/place: the directory does not exist.\n\n" +
				"Create the directory, or correct control_plane.directory in the provider block (or BRANE_CONTROL_PLANE_DIRECTORY).",
		},
		"the directory of the environment": {
			acctest.Object{"control_plane": acctest.Object{"brane_version": "0.5"}}, "brane_infrastructure", infrastructure,
			"ERROR: Failed to register location: Registering location \"compute\" in the directory /no/such: the directory does not exist.\n\n" +
				"Create the directory, or correct control_plane.directory in the provider block (or BRANE_CONTROL_PLANE_DIRECTORY).",
		},
		"a Secret takes precedence over the environment": {
			acctest.Object{"kubernetes": acctest.Object{}, "control_plane": acctest.Object{"kubernetes_secret": acctest.Object{"namespace": "brane", "name": "config"}}}, "brane_infrastructure", infrastructure,
			"ERROR: Control plane not available: Opening the configuration files of the Brane instance to register location \"compute\": no cluster is configured: set a kubeconfig file, a host, or in_cluster = true.\n\n" + correct,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(tt.block, false).Diagnostics)
			if said := acctest.FormatDiagnostics(s.NewLifecycle(tt.resource).Apply(tt.config)); strings.TrimSpace(said) != tt.want {
				t.Errorf("got  %s\nwant %s", said, tt.want)
			}
		})
	}
}

// An operation that has exceeded its limit names what to raise, unless the reason is known.
func TestLimitsAreNamed(t *testing.T) {
	limited, done := attribute.WithTimeout(t.Context(), "create", time.Nanosecond)
	defer done()
	<-limited.Done()
	const want = "Creating it: not finished after 1ns (timeouts.create).\n\nRaise timeouts.create if that needs more time, then run Terraform again."
	if got := diagnostic.ErrorDetail("Creating it", context.Cause(limited)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := diagnostic.ErrorDetail("Creating it", fmt.Errorf("%w (last answer: %w)", context.Cause(limited), files.ErrFull)); !strings.Contains(got, "maxmemory") {
		t.Errorf("the remedy of the reason is missing in %s", got)
	}
}

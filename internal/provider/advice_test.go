package provider_test

import (
	"strings"
	"testing"
)

// What is wrong with the provider block is found out when it is needed; the message says what to correct.
func TestAdvice(t *testing.T) {
	t.Setenv("KUBE_CONFIG_PATH", "")
	const correct = "Correct what says how to reach the cluster: kubernetes (or the entry of clusters) in the provider block, or the variable that stands in for it, such as KUBE_CONFIG_PATH."
	for name, tt := range map[string]struct {
		block    object
		resource string
		config   object
		want     string
	}{
		"a kubeconfig that is not there": {
			object{"kubernetes": object{"config_path": "/no/such"}}, "brane_namespace", object{"name": "brane"},
			"ERROR: No connection to the cluster: Connecting to make namespace \"brane\": read the kubeconfig: stat /no/such: no such file or directory.\n\n" + correct,
		},
		"no cluster at all": {
			object{"kubernetes": object{}}, "brane_namespace", object{"name": "brane"},
			"ERROR: No connection to the cluster: Connecting to make namespace \"brane\": no cluster is named: give a kubeconfig file, a host, or in_cluster = true.\n\n" + correct,
		},
		"a control plane that is not there": {
			object{"control_plane": object{"directory": "/no/such"}}, "brane_infrastructure",
			object{
				"name": "compute", "namespace": "brane", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052", "verify_credentials": false,
				"credentials": object{"kubeconfig_wo": goodKubeconfig, "kubeconfig_wo_version": 1},
			},
			"ERROR: Location not registered: Registering \"compute\" in the directory /no/such: the directory does not exist.\n\n" +
				"Create the directory, or correct control_plane.directory in the provider block (or BRANE_CONTROL_PLANE_DIRECTORY).",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpeaker(t)
			s.ok(s.configure(tt.block, false).Diagnostics)
			if said := tell(s.life(tt.resource).apply(tt.config)); strings.TrimSpace(said) != tt.want {
				t.Errorf("got  %s\nwant %s", said, tt.want)
			}
		})
	}
}

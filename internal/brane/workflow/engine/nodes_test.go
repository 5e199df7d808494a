package engine

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNodesMountImageVolumes(t *testing.T) {
	type node struct{ system, kubelet, runtime string }
	today := node{"linux", "v1.35.4", "containerd://2.3.7"}
	for name, tt := range map[string]struct {
		nodes []node
		want  string
	}{
		"a node as of today":                {[]node{today}, ""},
		"the oldest that do":                {[]node{{"linux", "v1.35.0", "containerd://2.1.0"}, {"linux", "v1.35.0", "cri-o://1.31.0"}}, ""},
		"versions with a vendor's name":     {[]node{{"linux", "v1.36.1+k3s1", "containerd://2.2.3-k3s1"}, {"linux", "v1.35.2-gke.1100", "containerd://2.1.4+unknown"}}, ""},
		"major versions to come":            {[]node{{"linux", "v2.0.0", "containerd://3.0.0"}}, ""},
		"an older kubelet beside":           {[]node{today, {"linux", "v1.34.9", "containerd://2.3.7"}}, `node "n2" has the kubelet "v1.34.9"`},
		"an older containerd":               {[]node{{"linux", "v1.35.4", "containerd://2.0.9"}}, `node "n1" has the runtime "containerd://2.0.9"`},
		"a much older containerd":           {[]node{{"linux", "v1.35.4", "containerd://1.7.30"}}, `node "n1" has the runtime "containerd://1.7.30"`},
		"an older CRI-O":                    {[]node{{"linux", "v1.35.4", "cri-o://1.30.14"}}, `node "n1" has the runtime "cri-o://1.30.14"`},
		"a runtime that mounts none":        {[]node{{"linux", "v1.36.2", "docker://29.6.2"}}, `node "n1" has the runtime "docker://29.6.2"`},
		"a runtime of no version":           {[]node{{"linux", "v1.35.4", "containerd://Unknown"}}, `node "n1" has the runtime "containerd://Unknown"`},
		"a version of no runtime":           {[]node{{"linux", "v1.35.4", "2.3.7"}}, `node "n1" has the runtime "2.3.7"`},
		"a virtual kubelet beside":          {[]node{today, {"linux", "v1.19.10-vk-azure-aci-1.4.8", ""}}, `node "n2" has the kubelet "v1.19.10-vk-azure-aci-1.4.8"`},
		"one that claims a current version": {[]node{today, {"linux", "v1.35.4", ""}}, `node "n2" has the runtime ""`},
		"a kubelet of no version":           {[]node{{"linux", "dev", "containerd://2.3.7"}}, `node "n1" has the kubelet "dev"`},
		"Windows beside":                    {[]node{{"windows", "v1.33.1", "containerd://1.7.30"}, today}, ""},
		"nothing but Windows":               {[]node{{"windows", "v1.35.4", "containerd://2.3.7"}}, "there is no Linux node"},
		"a node that has not told yet":      {[]node{{}}, "there is no Linux node"},
		"no node":                           {nil, "there is no Linux node"},
	} {
		t.Run(name, func(t *testing.T) {
			var search nodeSearch
			for i, node := range tt.nodes {
				search.add(&corev1.Node{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%d", i+1)},
					Status:     corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: node.system, KubeletVersion: node.kubelet, ContainerRuntimeVersion: node.runtime}},
				})
			}
			if got := search.describe(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

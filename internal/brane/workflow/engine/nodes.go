package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Since these versions nodes mount image volumes (KEP-4639) by default: with 1.35 the kubelet's feature gate ImageVolume is enabled. The
// API server supports them as well, because no kubelet may be newer.
var (
	mountingKubelet  = version.MustParseGeneric("1.35")
	mountingRuntimes = map[string]*version.Version{"containerd": version.MustParseGeneric("2.1"), "cri-o": version.MustParseGeneric("1.31")}
)

// nodesTimeout is the timeout for listing the nodes. Without the list the run only starts more slowly.
const nodesTimeout = 5 * time.Second

// findUnableNode returns why not all nodes are known to mount image volumes; empty if they are. All runs that have the same client use one list,
// because thousands of nodes are tens of megabytes.
func findUnableNode(ctx context.Context, client *kube.Client) (whyNot string) {
	whyNot, err := client.Once("a node that cannot mount images", func() (string, error) {
		ctx, done := context.WithTimeout(ctx, nodesTimeout)
		defer done()
		var nodes corev1.NodeList
		err := client.List(ctx, &nodes, "", "")
		return describeUnableNode(nodes.Items), err
	})
	if err != nil {
		return "the nodes cannot be listed: " + err.Error()
	}
	return whyNot
}

// describeUnableNode describes a node that may run a step and is not known to mount image volumes; empty if there is none. Every Linux node
// counts: a step may tolerate any taint, and a node that is cordoned or not ready may be back when the pod is scheduled. Virtual kubelets
// do not have a known runtime.
func describeUnableNode(nodes []corev1.Node) (which string) {
	linux := 0
	for _, node := range nodes {
		info := node.Status.NodeInfo
		if info.OperatingSystem != "linux" {
			continue // steps run on Linux
		}
		linux++
		if kubelet, err := version.ParseGeneric(info.KubeletVersion); err != nil || !kubelet.AtLeast(mountingKubelet) {
			return fmt.Sprintf("node %q has the kubelet %q", node.Name, info.KubeletVersion)
		}
		name, number, _ := strings.Cut(info.ContainerRuntimeVersion, "://")
		since, known := mountingRuntimes[name]
		if runtime, err := version.ParseGeneric(number); err != nil || !known || !runtime.AtLeast(since) {
			return fmt.Sprintf("node %q has the runtime %q", node.Name, info.ContainerRuntimeVersion)
		}
	}
	if linux == 0 {
		return "there is no Linux node"
	}
	return ""
}

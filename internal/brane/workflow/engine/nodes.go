package engine

import (
	"context"
	"errors"
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

// errUnable ends the search for a node that is not known to mount image volumes.
var errUnable = errors.New("a node is not known to mount image volumes")

// findUnableNode returns why not all nodes are known to mount image volumes; empty if they are. All runs that have the same client use one answer,
// because thousands of nodes are tens of megabytes.
func findUnableNode(ctx context.Context, client *kube.Client) (whyNot string) {
	whyNot, err := client.Once("a node that cannot mount images", func() (string, error) {
		ctx, done := context.WithTimeout(ctx, nodesTimeout)
		defer done()
		var search nodeSearch
		err := kube.Each(ctx, client, &corev1.NodeList{}, "", "", func(node *corev1.Node) error {
			if search.add(node); search.unable != "" {
				return errUnable
			}
			return nil
		})
		if errors.Is(err, errUnable) {
			err = nil
		}
		return search.describe(), err
	})
	if err != nil {
		return "the nodes cannot be listed: " + err.Error()
	}
	return whyNot
}

// nodeSearch finds a node that may run a step and is not known to mount image volumes.
type nodeSearch struct {
	unable string // describes the last of them
	linux  int    // number of Linux nodes
}

// add adds a node. Every Linux node counts: a step may tolerate any taint, and a node that is cordoned or not ready may be back when the pod is
// scheduled. Virtual kubelets do not have a known runtime.
func (s *nodeSearch) add(node *corev1.Node) {
	info := node.Status.NodeInfo
	if info.OperatingSystem != "linux" {
		return // steps run on Linux
	}
	s.linux++
	name, number, _ := strings.Cut(info.ContainerRuntimeVersion, "://")
	since, isKnown := mountingRuntimes[name]
	kubelet, kubeletErr := version.ParseGeneric(info.KubeletVersion)
	runtime, runtimeErr := version.ParseGeneric(number)
	switch {
	case kubeletErr != nil || !kubelet.AtLeast(mountingKubelet):
		s.unable = fmt.Sprintf("node %q has the kubelet %q", node.Name, info.KubeletVersion)
	case runtimeErr != nil || !isKnown || !runtime.AtLeast(since):
		s.unable = fmt.Sprintf("node %q has the runtime %q", node.Name, info.ContainerRuntimeVersion)
	}
}

// describe returns why not all nodes are known to mount image volumes; empty if they are.
func (s *nodeSearch) describe() string {
	if s.unable == "" && s.linux == 0 {
		return "there is no Linux node"
	}
	return s.unable
}

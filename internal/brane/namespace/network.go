package namespace

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Network is the traffic that the namespace's pods may send and receive; all other traffic is denied.
type Network struct {
	DNS     bool               // the cluster's DNS, see dnsRules
	Egress  map[string]Traffic // by name
	Ingress map[string]Traffic
}

// Traffic is a set of addresses and ports.
type Traffic struct {
	CIDRs     []string
	Ports     []int32  // empty means all
	Protocols []string // empty means TCP
}

// The names of the policies. With one policy for each entry a plan can name the missing one, and an import finds the names.
const (
	denyPolicy    = ObjectName + "-default-deny"
	dnsPolicy     = ObjectName + "-dns"
	egressPrefix  = ObjectName + "-egress-"
	ingressPrefix = ObjectName + "-ingress-"
)

// wantedPolicies yields the policies with their names, always in the same order.
func (n *Network) wantedPolicies() iter.Seq2[string, networkingv1.NetworkPolicySpec] {
	return func(yield func(string, networkingv1.NetworkPolicySpec) bool) {
		if n == nil {
			return
		}
		both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
		if !yield(denyPolicy, networkingv1.NetworkPolicySpec{PolicyTypes: both}) {
			return
		}
		if n.DNS && !yield(dnsPolicy, egressPolicy(dnsRules()...)) {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(n.Egress)) {
			t := n.Egress[name]
			if !yield(egressPrefix+name, egressPolicy(networkingv1.NetworkPolicyEgressRule{To: t.toPeers(), Ports: policyPorts(t.Ports, t.Protocols)})) {
				return
			}
		}
		for _, name := range slices.Sorted(maps.Keys(n.Ingress)) {
			t := n.Ingress[name]
			rule := networkingv1.NetworkPolicyIngressRule{From: t.toPeers(), Ports: policyPorts(t.Ports, t.Protocols)}
			if !yield(ingressPrefix+name, networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, Ingress: []networkingv1.NetworkPolicyIngressRule{rule},
			}) {
				return
			}
		}
	}
}

func egressPolicy(rules ...networkingv1.NetworkPolicyEgressRule) networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}, Egress: rules}
}

// nodeLocalDNS is the address at which NodeLocal DNSCache listens on every node. It is not the address of a pod, so that only a range selects it
// (https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/).
const nodeLocalDNS = "169.254.20.10/32"

// dnsRules returns the rules for the DNS of the usual clusters. Policies apply to the port of the pod, which is 5353 in OpenShift.
func dnsRules() []networkingv1.NetworkPolicyEgressRule {
	protocols := []string{"TCP", "UDP"}
	return []networkingv1.NetworkPolicyEgressRule{
		{
			To: []networkingv1.NetworkPolicyPeer{
				podsIn(metav1.NamespaceSystem, "k8s-app", "kube-dns"), podsIn(metav1.NamespaceSystem, "k8s-app", "node-local-dns"),
				{IPBlock: &networkingv1.IPBlock{CIDR: nodeLocalDNS}},
			},
			Ports: policyPorts([]int32{53}, protocols),
		},
		{
			To:    []networkingv1.NetworkPolicyPeer{podsIn("openshift-dns", "dns.operator.openshift.io/daemonset-dns", "default")},
			Ports: policyPorts([]int32{53, 5353}, protocols),
		},
	}
}

// podsIn selects the pods of a namespace that have a label.
func podsIn(name, key, value string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: name}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{key: value}},
	}
}

func (t Traffic) toPeers() []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, cidr := range slices.Sorted(slices.Values(t.CIDRs)) {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}})
	}
	return peers
}

func policyPorts(numbers []int32, protocols []string) []networkingv1.NetworkPolicyPort {
	if len(protocols) == 0 {
		protocols = []string{string(corev1.ProtocolTCP)}
	}
	var all []networkingv1.NetworkPolicyPort
	for _, name := range slices.Sorted(slices.Values(protocols)) {
		protocol := corev1.Protocol(name)
		for _, number := range slices.Sorted(slices.Values(numbers)) {
			port := intstr.FromInt32(number)
			all = append(all, networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port})
		}
		if len(numbers) == 0 {
			all = append(all, networkingv1.NetworkPolicyPort{Protocol: &protocol})
		}
	}
	return all
}

// sortPolicy sorts a policy as [Network] writes it; the order has no meaning.
func sortPolicy(spec *networkingv1.NetworkPolicySpec) {
	slices.Sort(spec.PolicyTypes)
	for _, rule := range spec.Egress {
		sortRule(rule.To, rule.Ports)
	}
	slices.SortFunc(spec.Egress, func(a, b networkingv1.NetworkPolicyEgressRule) int { return cmp.Compare(a.String(), b.String()) })
	for _, rule := range spec.Ingress {
		sortRule(rule.From, rule.Ports)
	}
}

func sortRule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) {
	slices.SortFunc(peers, func(a, b networkingv1.NetworkPolicyPeer) int { return cmp.Compare(a.String(), b.String()) })
	slices.SortFunc(ports, func(a, b networkingv1.NetworkPolicyPort) int { return cmp.Compare(a.String(), b.String()) })
}

// networkOf returns the Network of these policies, or nil if there are none.
func networkOf(policies []*networkingv1.NetworkPolicy) *Network {
	if len(policies) == 0 {
		return nil
	}
	n := &Network{Egress: map[string]Traffic{}, Ingress: map[string]Traffic{}}
	for _, policy := range policies {
		if policy.Name == dnsPolicy {
			n.DNS = true
		} else if name, ok := strings.CutPrefix(policy.Name, egressPrefix); ok && len(policy.Spec.Egress) == 1 {
			n.Egress[name] = trafficOf(policy.Spec.Egress[0].To, policy.Spec.Egress[0].Ports)
		} else if name, ok := strings.CutPrefix(policy.Name, ingressPrefix); ok && len(policy.Spec.Ingress) == 1 {
			n.Ingress[name] = trafficOf(policy.Spec.Ingress[0].From, policy.Spec.Ingress[0].Ports)
		}
	}
	return n
}

func trafficOf(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) Traffic {
	var t Traffic
	for _, peer := range peers {
		if peer.IPBlock != nil {
			t.CIDRs = append(t.CIDRs, peer.IPBlock.CIDR)
		}
	}
	for _, port := range ports {
		if port.Port != nil && !slices.Contains(t.Ports, port.Port.IntVal) {
			t.Ports = append(t.Ports, port.Port.IntVal)
		}
		if port.Protocol != nil && !slices.Contains(t.Protocols, string(*port.Protocol)) {
			t.Protocols = append(t.Protocols, string(*port.Protocol))
		}
	}
	return t
}

package main

// clientRate raises the clients' limit of 20 requests per second. With the default, a node takes 5 s instead of 1 s to
// become Ready, and tests that create many objects measure the limit. Production clusters have the default: measure
// figures for them without this.
var clientRate = []string{"--kube-api-qps=200", "--kube-api-burst=400"}

func (c cluster) etcd(kube string) program {
	client, peer := "https://"+c.loopback()+":"+etcdPort, "http://"+c.loopback()+":"+etcdPeerPort
	return program{name: "etcd", nice: ahead, args: []string{
		kube, "etcd",
		"--name=brane",
		"--data-dir=" + c.path("etcd"),
		"--unsafe-no-fsync", // a test cluster may lose its state in a power failure; fsync would slow down every write
		"--log-level=warn",
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=brane=" + peer,
		"--client-cert-auth",
		"--trusted-ca-file=" + c.path("pki/ca.crt"),
		"--cert-file=" + c.path("pki/etcd.crt"),
		"--key-file=" + c.path("pki/etcd.key"),
	}}
}

func (c cluster) apiServer(kube string) program {
	return program{name: "kube-apiserver", nice: ahead, args: []string{
		kube, "kube-apiserver",
		"--bind-address=" + c.loopback(),
		"--secure-port=" + apiPort,
		// It rejects a loopback address for --advertise-address, and must not publish an address that only pods can reach.
		"--advertise-address=" + c.gateway(),
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + c.serviceRange(),
		"--etcd-servers=https://" + c.loopback() + ":" + etcdPort,
		"--etcd-cafile=" + c.path("pki/ca.crt"),
		"--etcd-certfile=" + c.path("pki/apiserver-client.crt"),
		"--etcd-keyfile=" + c.path("pki/apiserver-client.key"),
		"--client-ca-file=" + c.path("pki/ca.crt"),
		"--tls-cert-file=" + c.path("pki/apiserver.crt"),
		"--tls-private-key-file=" + c.path("pki/apiserver.key"),
		"--kubelet-certificate-authority=" + c.path("pki/ca.crt"),
		"--kubelet-client-certificate=" + c.path("pki/apiserver-client.crt"),
		"--kubelet-client-key=" + c.path("pki/apiserver-client.key"),
		"--kubelet-preferred-address-types=Hostname,InternalIP",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.path("pki/sa.pub"),
		"--service-account-signing-key-file=" + c.path("pki/sa.key"),
		// There is no aggregating proxy, but without these flags the controller manager and the scheduler log errors.
		"--requestheader-client-ca-file=" + c.path("pki/ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--profiling=false",
	}}
}

func (c cluster) controllerManager(kube string) program {
	return program{name: "kube-controller-manager", nice: ahead, args: append([]string{
		kube, "kube-controller-manager",
		"--kubeconfig=" + c.path("conf/controller-manager.kubeconfig"),
		"--authentication-kubeconfig=" + c.path("conf/controller-manager.kubeconfig"),
		"--authorization-kubeconfig=" + c.path("conf/controller-manager.kubeconfig"),
		"--bind-address=" + c.loopback(),
		"--secure-port=" + managerPort,
		"--tls-cert-file=" + c.path("pki/control-plane.crt"),
		"--tls-private-key-file=" + c.path("pki/control-plane.key"),
		"--service-account-private-key-file=" + c.path("pki/sa.key"),
		"--root-ca-file=" + c.path("pki/ca.crt"),
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--profiling=false",
	}, clientRate...)}
}

func (c cluster) scheduler(kube string) program {
	return program{name: "kube-scheduler", nice: ahead, args: append([]string{
		kube, "kube-scheduler",
		"--kubeconfig=" + c.path("conf/scheduler.kubeconfig"),
		"--authentication-kubeconfig=" + c.path("conf/scheduler.kubeconfig"),
		"--authorization-kubeconfig=" + c.path("conf/scheduler.kubeconfig"),
		"--bind-address=" + c.loopback(),
		"--secure-port=" + schedPort,
		"--tls-cert-file=" + c.path("pki/control-plane.crt"),
		"--tls-private-key-file=" + c.path("pki/control-plane.key"),
		"--leader-elect=false",
		"--profiling=false",
	}, clientRate...)}
}

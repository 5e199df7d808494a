package kube

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// NormalizeServer returns the URL of an API server in a form in which URLs of the same server are equal: with the port, and without a slash at the end. A text
// that is not a URL is returned as it is.
func NormalizeServer(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return server
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return u.Scheme + "://" + NormalizeAddress(net.JoinHostPort(u.Hostname(), port)) + ServerPath(server)
}

// NormalizeAddress returns host:port in a form in which equal addresses are equal. A text that is not host:port is returned as it is.
func NormalizeAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	return net.JoinHostPort(host, port)
}

// ServerPath returns the path of the URL of an API server, without a slash at the end. It is empty unless the server is behind a proxy that serves several
// clusters, such as Rancher: /k8s/clusters/c-m-x.
func ServerPath(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}

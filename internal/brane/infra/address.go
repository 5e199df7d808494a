package infra

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// The sentences about addresses never contain the value, because a password can be in any of them, also in one that cannot be parsed. Each rule is that of the
// program that reads the address in the end.

const (
	serverExample   = "203.0.113.7:6443"
	callbackExample = "http://198.51.100.10:50052"
	registryExample = "198.51.100.10:50050"
	proxyExample    = "198.51.100.10:1080"
	mountExample    = "redis://198.51.100.10"
)

var (
	hostRule     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	pathRule     = regexp.MustCompile(`^(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	databaseRule = regexp.MustCompile(`^/?([0-9]{0,9})$`)
)

// hostPortProblem checks an address whose reader needs host:port, without a scheme.
func hostPortProblem(v, example string) string {
	_, port, ok := splitAddress(v)
	switch {
	case ok && port != "":
		return ""
	case strings.Contains(v, "@"):
		return "it contains a user name or password, which Brane cannot use; write host:port alone, such as " + example
	case strings.Contains(v, "://"):
		return "it has a scheme; write host:port alone, such as " + example
	case strings.Contains(v, ","):
		return "it names several hosts; write one host:port, such as " + example
	case ok && strings.Count(v, ":") > 1:
		return "an IPv6 address needs brackets and a port, such as [2001:db8::1]:6443"
	case ok:
		return "it has no port; write host:port, such as " + example
	}
	return "it is not host:port, such as " + example
}

// callbackProblem checks the URL that branelet calls from inside the pod of a task. Its client has no TLS: it would speak plain HTTP/2 to the port of an https URL.
func callbackProblem(v string) string {
	rest, isHTTP := strings.CutPrefix(v, "http://")
	host, _, ok := splitAddress(strings.TrimSuffix(rest, "/"))
	switch {
	case strings.Contains(v, "@"):
		return "it contains a user name or password, which Brane cannot use; write scheme, host and port alone, such as " + callbackExample
	case strings.HasPrefix(strings.ToLower(v), "https://"):
		return "branelet, which connects to it, does not support TLS; write the address of brane-clb itself, such as " + callbackExample
	case !isHTTP:
		return "it does not begin with http://; write the URL of Brane's callback service, such as " + callbackExample
	case strings.ContainsAny(strings.TrimSuffix(rest, "/"), "/?#"):
		return "it has more than scheme, host and port; write it as " + callbackExample
	case !ok:
		return "it has no valid host and port; write it as " + callbackExample
	case IsLoopback(host):
		return "it is connected to from inside the container of a task, where " + host + " is the container itself; use an address of the control plane"
	}
	return ""
}

// registryProblem checks the first part of an image reference: host:port, or a host with a dot, both with an optional path.
func registryProblem(v string) string {
	hostPort, path, hasPath := strings.Cut(v, "/")
	host, port, ok := splitAddress(hostPort)
	switch {
	case strings.Contains(v, "@"):
		return "it contains a user name or password, which an image name cannot contain; write host:port alone, such as " + registryExample
	case strings.Contains(v, "://"):
		return "it has a scheme; image names begin with host:port alone, such as " + registryExample
	case !ok || hasPath && !pathRule.MatchString("/"+path):
		return "it is not host:port, such as " + registryExample
	case port == "" && !strings.ContainsAny(host, ".:") && host != "localhost":
		return "an image name that begins with it would be read as a docker.io user; add the port, such as " + registryExample
	}
	return ""
}

// mountProblem checks the URL that JuiceFS mounts inside the pod of a task. It may contain a password.
func mountProblem(v string) string {
	const form = "redis://[user][:password]@host[:port][/database], such as " + mountExample
	rest, isRedis := strings.CutPrefix(v, "redis://")
	authority, _, _ := strings.Cut(rest, "/")
	host, _, ok := splitAddress(authority[strings.LastIndexByte(authority, '@')+1:])
	u, err := url.Parse(v)
	switch {
	case strings.HasPrefix(v, "rediss://"):
		return "a connection with TLS (rediss://) is not supported; write it as " + form
	case !isRedis:
		return "it does not begin with redis://; write it as " + form
	case strings.Contains(authority[strings.LastIndexByte(authority, '@')+1:], ","):
		return "it names several hosts, as JuiceFS writes a Sentinel group, which is not supported; write the address of one server as " + form
	case err != nil || u.Fragment != "" || strings.Contains(v, "#") || strings.LastIndexByte(rest, '@') >= len(authority):
		return "it cannot be parsed; percent-encode the special characters of a password (# as %23, / as %2F, @ as %40), and write it as " + form
	case !ok || u.Host == "":
		return "it has no valid host and port; write it as " + form
	case !databaseRule.MatchString(u.Path):
		return "what follows the host must be the number of a database; write it as " + form
	case IsLoopback(host):
		return "the file system is mounted inside the container of a task, where " + host + " is the container itself; use an address of the control plane"
	}
	return ""
}

// splitAddress splits host[:port]; ok is false if it is neither. The host of an IPv6 address has no brackets.
func splitAddress(v string) (host, port string, ok bool) {
	if host, port, err := net.SplitHostPort(v); err == nil {
		return host, port, isHost(host) && isPort(port)
	}
	if strings.HasPrefix(v, "[") && strings.HasSuffix(v, "]") {
		v = v[1 : len(v)-1]
	}
	return v, "", isHost(v)
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

func isHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	return hostRule.MatchString(host)
}

// IsLoopback reports whether a host is the machine, or the container, that connects to it.
func IsLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return addr.IsLoopback() || addr.IsUnspecified()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasPrefix(host, "127.")
}

// IsLoopbackAddress is [IsLoopback] for host:port.
func IsLoopbackAddress(address string) bool {
	host, _, ok := splitAddress(address)
	return ok && IsLoopback(host)
}

package infra

import (
	"net"
	"net/url"
	"strings"
	"testing"
)

// secret is a password that no sentence may contain.
const secret = "s3cretWc90"

func TestChecksAddresses(t *testing.T) {
	const (
		noPassword = "it contains a user name or password"
		noScheme   = "it has a scheme; write host:port alone"
	)
	for name, tt := range map[string]struct {
		problem func(string) string
		want    map[string]string // by value; empty if it is valid
	}{
		"address": {func(v string) string { return hostPortProblem(v, serverExample) }, map[string]string{
			"203.0.113.7:6443": "", "[2001:db8::1]:6443": "", "k8s.example.org:443": "", "localhost:6443": "",
			"":                         "it is not host:port, such as 203.0.113.7:6443",
			"https://203.0.113.7:6443": noScheme,
			"k8s.example.org":          "it has no port; write host:port, such as 203.0.113.7:6443",
			"2001:db8::1":              "an IPv6 address needs brackets and a port, such as [2001:db8::1]:6443",
			"a:1,b:1":                  "it names several hosts",
			"h:65536":                  "it is not host:port",
			"h:0":                      "it is not host:port",
			"h:6443/api":               "it is not host:port",
			" h:6443":                  "it is not host:port",
			"user:" + secret + "@h:1":  noPassword,
			"https://" + secret + "@h": noPassword,
		}},
		"callback_to": {callbackProblem, map[string]string{
			"http://198.51.100.10:50052": "", "http://brane-clb.example.org:50052/": "", "http://[2001:db8::1]:1": "", "http://clb.example.org": "",
			"":                                     "it does not begin with http://",
			"198.51.100.10:50052":                  "it does not begin with http://",
			"HTTP://198.51.100.10:50052":           "it does not begin with http://",
			"grpc://198.51.100.10:50052":           "it does not begin with http://",
			"https://198.51.100.10:50052":          "branelet, which connects to it, does not support TLS; write the address of brane-clb itself, such as http://198.51.100.10:50052",
			"http://h:1/a":                         "it has more than scheme, host and port",
			"http://h:1?":                          "it has more than scheme, host and port",
			"http://h:1#":                          "it has more than scheme, host and port",
			"http://:50052":                        "it has no valid host and port",
			"http://h:port":                        "it has no valid host and port",
			"http://LocalHost:50052":               "where LocalHost is the container itself; use an address of the control plane",
			"http://127.0.1.1:50052":               "where 127.0.1.1 is the container itself",
			"http://[::1]:50052":                   "where ::1 is the container itself",
			"http://0.0.0.0:50052":                 "where 0.0.0.0 is the container itself",
			"http://user:" + secret + "@h:50052":   noPassword,
			"https://user:" + secret + "#@h:50052": noPassword,
		}},
		"registry": {registryProblem, map[string]string{
			"198.51.100.10:50050": "", "registry.example.org/mirror/brane": "", "localhost:5000": "", "localhost": "", "[2001:db8::1]:5000": "",
			"":                           "it is not host:port, such as 198.51.100.10:50050",
			"http://h:1":                 "it has a scheme; image names begin with host:port alone",
			"registry":                   "an image name that begins with it would be read as a docker.io user; add the port",
			"r:5000/Team":                "it is not host:port",
			"r:5000/":                    "it is not host:port",
			"user:" + secret + "@r:5000": noPassword,
		}},
		"proxy_address": {func(v string) string { return hostPortProblem(v, proxyExample) }, map[string]string{
			"198.51.100.10:1080":               "",
			"socks5://h:1080":                  noScheme,
			"http://h:1080/":                   noScheme,
			"h":                                "it has no port; write host:port, such as 198.51.100.10:1080",
			"socks5://u:" + secret + "@h:1080": noPassword,
		}},
		"mount_dfs": {mountProblem, map[string]string{
			"redis://198.51.100.10": "", "redis://:" + secret + "@redis.example.org:6380/1": "", "redis://u:" + secret + "@h/0?route-read=replica": "", "redis://[2001:db8::1]": "",
			"http://h":                     "it does not begin with redis://",
			"198.51.100.10":                "it does not begin with redis://",
			"rediss://:" + secret + "@h/1": "a connection with TLS (rediss://) is not supported",
			"redis://:" + secret + "@mymaster,h1,h2:1/1": "it names several hosts, as JuiceFS writes a Sentinel group",
			"redis://h1:1,h2:2/1":                        "it names several hosts",
			"redis://:" + secret + "#Wc90@h/1":           "percent-encode the special characters of a password",
			"redis://:a/" + secret + "@h/1":              "percent-encode the special characters of a password",
			"redis://:" + secret + "%zz@h/1":             "percent-encode the special characters of a password",
			"redis://:" + secret + "@/1":                 "it has no valid host and port",
			"redis://h/abc":                              "what follows the host must be the number of a database",
			"redis://localhost":                          "where localhost is the container itself; use an address of the control plane",
			"redis://:" + secret + "@[::1]:6379":         "where ::1 is the container itself",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for value, want := range tt.want {
				got := tt.problem(value)
				if want == "" && got != "" || !strings.Contains(got, want) {
					t.Errorf("%q: got %q, want %q", value, got, want)
				}
				if strings.Contains(got, secret) {
					t.Errorf("%q: the password is in %q", value, got)
				}
			}
		})
	}
}

// FuzzAddresses checks that what is accepted can be read by those who connect to it, and that no sentence contains a password.
func FuzzAddresses(f *testing.F) {
	for _, seed := range []string{"203.0.113.7:6443", "[2001:db8::1]:1", "http://h:1/", "redis://:p@h:6379/1", "redis://u:p#@h,h2/x", "r:5000/a/b", "a@b:1", "h:1,h:2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if hostPortProblem(v, serverExample) == "" {
			if _, err := net.ResolveTCPAddr("tcp", "127.0.0.1:"+v[strings.LastIndexByte(v, ':')+1:]); err != nil {
				t.Errorf("%q is accepted as host:port: %v", v, err)
			}
		}
		for _, problem := range []func(string) string{callbackProblem, mountProblem} {
			u, err := url.Parse(v)
			if problem(v) == "" && (err != nil || u.Hostname() == "" || u.Fragment != "") {
				t.Errorf("%q is accepted as URL: %v", v, err)
			}
		}
		marked := strings.Replace(v, "p", secret, 1)
		for _, said := range []string{hostPortProblem(marked, serverExample), callbackProblem(marked), registryProblem(marked), mountProblem(marked)} {
			if strings.Contains(said, secret) && !strings.Contains(said, "is the container itself") {
				t.Errorf("%q: the password is in %q", marked, said)
			}
		}
	})
}

package files

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestCheckURLSuggestsTheForm checks what users of other programs write.
func TestCheckURLSuggestsTheForm(t *testing.T) {
	for name, tt := range map[string]struct{ url, want string }{
		"Sentinel, as JuiceFS writes it": {"redis://:s3cret@mymaster,127.0.0.1,127.0.0.1:26379/1", "redis+sentinel://…@127.0.0.1:26379/1?master=mymaster&addr=127.0.0.1:26379"},
		"Sentinel without a user":        {"redis://mymaster,h1,h2:26379/1", "redis+sentinel://user:password@host1:26379/0?master=name&addr=host2:26379"},
		"a list of hosts":                {"redis://:s3cret@127.0.0.1:26379,127.0.0.1:26380/1", "redis+cluster://…@127.0.0.1:26379?addr=127.0.0.1:26380"},
		"a list of hosts with TLS":       {"rediss://u:s3cret@a.example.org,b.example.org", "redis+cluster://…@a.example.org?addr=b.example.org"},
		"a list of odd hosts":            {"redis://:s3cret@h1,s3cret:x", "redis+cluster://user:password@host1:6379?addr=host2:6379"},
		"a list for a Cluster":           {"redis+cluster://:s3cret@h1:6379,h2:6379", "redis+cluster://user:password@host1?addr=host2&addr=host3"},
		"a list for Sentinel":            {"redis+sentinel://:s3cret@h1,h2/0?master=m", "redis+sentinel://user:password@host1?addr=host2&addr=host3"},
		"the CA of JuiceFS":              {"rediss://:s3cret@127.0.0.1:6379/1?tls-ca-cert-file=/etc/ca.pem", "redis.ca_certificate"},
		"the certificate of JuiceFS":     {"rediss://h?tls-cert-file=/c&tls-key-file=/k", "redis.client_certificate and redis.client_key"},
		"no verification, as JuiceFS":    {"redis://:s3cret@127.0.0.1:6379/1?insecure-skip-verify=true", "always verified; set redis.ca_certificate"},
		"no verification, as go-redis":   {"rediss://h?skip_verify=true", "always verified"},
		"a database as a parameter":      {"redis://h?db=1", "redis://host:6379/1"},
		"a password as a parameter":      {"redis://h?password=s3cret", "redis.password"},
		"the master in the single form":  {"redis://h?master=m", "redis+sentinel://"},
		"the master of go-redis":         {"redis+sentinel://h?master_name=m", "is the parameter master of redis+sentinel://"},
		"Sentinel's password elsewhere":  {"redis://h?sentinel_password=s3cret", "sentinel_username and sentinel_password of redis+sentinel://"},
		"hosts in the single form":       {"redis://h?addr=h2", "other hosts are parameters addr of redis+cluster:// and redis+sentinel://"},
		"TLS as a parameter":             {"redis://h?ssl=true", "rediss://"},
		"an option of the library":       {"redis://h?read_timeout=1", "supported are addr"},
		"a hash in the password":         {"redis://:s3cret#x@h/1", "percent-encoded (# as %23"},
		"a slash in the password":        {"redis://:s3cret/x@h/1", "/ as %2F"},
		"a fragment":                     {"redis://h:6379/1#s3cret", "percent-encoded"},
		"no scheme":                      {"h:6379", "it has to begin with redis://"},
		"another scheme":                 {"redis-sentinel://h", "redis+sentinel://"},
		"a socket":                       {"unix:///var/run/redis.sock", "it has to begin with redis://"},
		"port 0":                         {"redis://h:0", "no host with a valid port"},
		"a port too large":               {"redis://h:65536", "no host with a valid port"},
		"a port too large of another":    {"redis+cluster://h?addr=h2:65536", "no host with a valid port"},
		"nothing":                        {"", "it has to begin with redis://"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckURL(tt.url)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// FuzzCheckURL checks that no error contains a password, and that what is accepted is read as the library reads it.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"redis://u:s3cret@h:6379/0", "redis://:s3cret@m,h1,h2:1/1", "redis+sentinel://:s3cret@h?master=m", "rediss+cluster://h?addr=a", "redis://h?tls-ca-cert-file=x", "redis://s3cret#@h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		err := CheckURL(address)
		if at := strings.LastIndexByte(address, '@'); err != nil && at >= 0 && !strings.Contains(address[at:], "s3cret") && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the password is in %v", address, err)
		}
		if err != nil || strings.Contains(address, "+") {
			return
		}
		read, err := redis.ParseURL(address)
		if err != nil {
			t.Fatalf("%q is accepted, and the library refuses it: %v", address, err)
		}
		o, err := Dialer{}.parseOptions(address)
		if err != nil || o.Addrs[0] != read.Addr || o.Password != read.Password || o.Username != read.Username || o.DB != read.DB {
			t.Errorf("%q: got %v %d, want %v %d (%v)", address, o.Addrs, o.DB, read.Addr, read.DB, err)
		}
	})
}

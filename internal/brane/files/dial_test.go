package files

import (
	"fmt"
	"strings"
	"testing"
)

// TestDialReadsTheURL checks the forms that the documentation of redis.url describes.
func TestDialReadsTheURL(t *testing.T) {
	type read struct {
		addrs              []string
		username, password string
		db                 int
		tls, cluster       bool
		master             string
		sentinel           [2]string // user name and password of Sentinel
	}
	for name, tt := range map[string]struct {
		url  string
		want read
	}{
		"a host alone":              {"redis://h", read{addrs: []string{"h:6379"}}},
		"a port and a database":     {"redis://h:7000/3", read{addrs: []string{"h:7000"}, db: 3}},
		"an address of IPv6":        {"redis://[::1]/1", read{addrs: []string{"[::1]:6379"}, db: 1}},
		"a password":                {"redis://:s3cret@h", read{addrs: []string{"h:6379"}, password: "s3cret"}},
		"a user":                    {"redis://me:s3cret@h", read{addrs: []string{"h:6379"}, username: "me", password: "s3cret"}},
		"a user without a password": {"redis://me@h", read{addrs: []string{"h:6379"}, username: "me"}},
		"special characters":        {"redis://m%3Ae:p%40ss%2Fw%25rd%20+@h", read{addrs: []string{"h:6379"}, username: "m:e", password: "p@ss/w%rd +"}},
		"TLS":                       {"rediss://h", read{addrs: []string{"h:6379"}, tls: true}},
		"a Cluster of one name":     {"redis+cluster://h", read{addrs: []string{"h:6379"}, cluster: true}},
		"a Cluster":                 {"redis+cluster://me:s3cret@h:7000?addr=h2:7001&addr=h3", read{addrs: []string{"h:7000", "h2:7001", "h3:6379"}, username: "me", password: "s3cret", cluster: true}},
		"a Cluster's only database": {"redis+cluster://h/0", read{addrs: []string{"h:6379"}, cluster: true}},
		"a Cluster by TLS":          {"rediss+cluster://h", read{addrs: []string{"h:6379"}, cluster: true, tls: true}},
		"a Sentinel group":          {"redis+sentinel://h?master=m", read{addrs: []string{"h:26379"}, master: "m"}},
		"all of a Sentinel group": {"rediss+sentinel://me:s3cret@h:7000/2?master=m&addr=h2&addr=h3:7001&sentinel_username=you&sentinel_password=p%26w%2B", read{
			addrs: []string{"h:7000", "h2:26379", "h3:7001"}, username: "me", password: "s3cret", db: 2, tls: true, master: "m", sentinel: [2]string{"you", "p&w+"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := Dialer{}.parseOptions(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			got := read{o.Addrs, o.Username, o.Password, o.DB, o.TLSConfig != nil, o.IsClusterMode, o.MasterName, [2]string{o.SentinelUsername, o.SentinelPassword}}
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestDialErrorsHideTheURL checks that no error contains a part of the URL, wherever a mistyped password ends up in it.
func TestDialErrorsHideTheURL(t *testing.T) {
	t.Parallel()
	const marker = "s3cret"
	for _, rest := range []string{
		":" + marker + "%zz@h", ":" + marker + "%@h", marker + "%zz@h", ":" + marker + "/x@h:1/0", ":" + marker + "#x@h", ":" + marker + "?x@h", ":1?" + marker + "@h",
		":1#" + marker + "@h", ":pw@h:" + marker, ":pw@h:6379" + marker, "[" + marker, "[" + marker + "]:x", "h/" + marker, "h/0/" + marker, "h/%2" + marker, "h/-1?" + marker,
		"h?" + marker, "h?" + marker + "=1", "h?password=" + marker, "h?dial_timeout=" + marker, "h?skip_verify=" + marker, "h?db=" + marker, "h?addr=:" + marker,
		"h?master=m&addr=:" + marker, "h/" + marker + "?master=m", "h?master=m&sentinel_password=" + marker + "%zz", "h?master=m&sentinel_password=" + marker + "&protocol=x",
		"h?master=m;" + marker, ":" + marker + "@", ":" + marker + "@/0", "h \x00" + marker, "h\x7f" + marker,
	} {
		for _, scheme := range []string{"redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel", "http", "redis+" + marker, marker, ""} {
			if _, err := Dial(scheme + "://" + rest); err == nil || strings.Contains(err.Error(), marker) {
				t.Errorf("%s://%s: %v", scheme, rest, err)
			}
		}
	}
}

package files

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Ports of the servers that a URL names without one.
const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// Errors about a URL. None contains a part of it that can be a password.
var (
	errSyntax = errors.New("it cannot be parsed; it should look like redis://user:password@host:6379/0, with special characters of the password percent-encoded (# as %23, / as %2F, @ as %40)")
	errScheme = errors.New("it has to begin with redis://, rediss://, redis+cluster://, rediss+cluster://, redis+sentinel:// or rediss+sentinel://")
	errHost   = errors.New("it contains no host with a valid port")
	// errPart replaces all errors of the library's parsers, which quote the URL.
	errPart = errors.New("what follows the host has to be the number of a database, as in redis://host:6379/0, and each addr a host or host:port")
)

// CheckURL returns why [Dialer.Dial] does not accept a URL, and what to write instead. The error contains no part of the URL that can be a password.
func CheckURL(address string) error {
	_, err := Dialer{}.parseOptions(address)
	return err
}

// findMistake looks for usual mistakes, some of which the parser accepts.
func findMistake(address string) error {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return errScheme
	}
	_, form, _ := strings.Cut(scheme, "+")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	path, _, _ := strings.Cut(rest[end:], "?")
	if strings.ContainsAny(path, "@#") || strings.Contains(rest, "#") {
		return errSyntax
	}
	if hosts := rest[strings.LastIndexByte(rest[:end], '@')+1 : end]; strings.Contains(hosts, ",") {
		return severalHosts(form, strings.TrimPrefix(path, "/"), strings.Split(hosts, ","), strings.Contains(rest[:end], "@"))
	}
	return nil
}

var (
	plainHost     = regexp.MustCompile(`^[A-Za-z0-9._-]+(:[0-9]+)?$`)
	plainDatabase = regexp.MustCompile(`^[0-9]*$`)
)

// severalHosts returns the error about a list of hosts, with the form that the hosts have here. JuiceFS puts the name of a Sentinel group before its hosts, and
// one port behind the last of them. The hosts are repeated only if they follow a user: without one, they may be a password whose host is missing.
func severalHosts(form, database string, hosts []string, hasUser bool) error {
	if form == "cluster" || form == "sentinel" {
		return fmt.Errorf("it names several hosts before the path; write the first one there, and each other as a parameter addr: redis+%s://user:password@host1?addr=host2&addr=host3", form)
	}
	const several = "it names several hosts, and one is expected. "
	isPlain := hasUser && plainDatabase.MatchString(database)
	for _, host := range hosts {
		isPlain = isPlain && plainHost.MatchString(host)
	}
	if !isPlain {
		return errors.New(several + "Write a Sentinel group as redis+sentinel://user:password@host1:26379/0?master=name&addr=host2:26379, " +
			"and a Redis Cluster as redis+cluster://user:password@host1:6379?addr=host2:6379")
	}
	master, sentinels := "name", hosts
	if len(hosts) > 2 && !strings.Contains(hosts[0], ":") {
		master, sentinels = hosts[0], hosts[1:]
	}
	_, port, _ := strings.Cut(hosts[len(hosts)-1], ":")
	sentinel, cluster := "", ""
	for i, host := range sentinels {
		host = strings.TrimSuffix(withPort(host, port), ":")
		if i == 0 {
			sentinel = fmt.Sprintf("redis+sentinel://…@%s/%s?master=%s", host, database, master)
			cluster = fmt.Sprintf("redis+cluster://…@%s?", host)
			continue
		}
		sentinel += "&addr=" + host
		cluster += "&addr=" + host
	}
	return errors.New(several + "Write a Sentinel group as " + sentinel + ", and a Redis Cluster as " + strings.Replace(cluster, "?&", "?", 1))
}

// libraryQuery translates the parameters that a form of the URL may have to those of the library's parser for it.
func libraryQuery(raw, form string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errSyntax
	}
	translated := url.Values{}
	for key, values := range query {
		switch {
		case key == "addr" && form != "":
			port := redisPort
			if form == "sentinel" {
				port = sentinelPort
			}
			for _, addr := range values {
				translated.Add("addr", withPort(addr, port))
			}
		case key == "master" && form == "sentinel":
			translated["master_name"] = values
		case key == "sentinel_username" && form == "sentinel":
			translated["username"] = values
		case key == "sentinel_password" && form == "sentinel":
			translated["password"] = values
		default:
			return nil, unsupportedParameter(key)
		}
	}
	if form == "sentinel" && query.Get("master") == "" {
		return nil, errors.New("with redis+sentinel:// the name of the master is needed: ?master=name")
	}
	return translated, nil
}

// parameterHints are what to write instead of the parameters of other programs, by names without "-" and "_".
var parameterHints = []struct {
	instead string
	names   []string
}{
	{"the CA certificate of the server is set in redis.ca_certificate (BRANE_REDIS_CA_CERTIFICATE)", []string{"tlscacertfile", "cacert", "cafile", "tlsca", "sslcacerts", "sslca", "tlscacert"}},
	{"a client certificate is set in redis.client_certificate and redis.client_key", []string{"tlscertfile", "tlskeyfile", "certfile", "keyfile", "sslcertfile", "sslkeyfile", "tlscert", "tlskey", "cert", "key"}},
	{"the certificate of the server is always verified; set redis.ca_certificate (BRANE_REDIS_CA_CERTIFICATE) to the CA that has signed it",
		[]string{"insecureskipverify", "skipverify", "insecure", "tlsinsecure", "sslcertreqs", "tlsskipverify"}},
	{"the number of the database follows the host, as in redis://host:6379/1", []string{"db", "database", "dbnum"}},
	{"user and password precede the host, as in redis://user:password@host; redis.password (BRANE_REDIS_PASSWORD) is another place for the password",
		[]string{"password", "pass", "auth", "username", "user"}},
	{"the name of a Sentinel group is the parameter master of redis+sentinel://", []string{"master", "mastername", "sentinelmaster", "sentinelmasterid", "sentinelmastername", "service"}},
	{"the credentials of Sentinel are the parameters sentinel_username and sentinel_password of redis+sentinel://", []string{"sentinelusername", "sentineluser", "sentinelpassword", "sentinelauth"}},
	{"other hosts are parameters addr of redis+cluster:// and redis+sentinel://", []string{"addr", "addrs", "address", "addresses", "host", "hosts", "node", "nodes", "sentinels"}},
	{"TLS is the scheme rediss://", []string{"tls", "ssl", "usetls", "usessl"}},
}

// unsupportedParameter returns the error about a parameter, which it does not name: a mistyped one may be a part of a password.
func unsupportedParameter(name string) error {
	const unsupported = "it has an unsupported parameter; "
	name = strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
	for _, hint := range parameterHints {
		for _, known := range hint.names {
			if name == known {
				return errors.New(unsupported + hint.instead)
			}
		}
	}
	return errors.New(unsupported + "supported are addr (redis+cluster, redis+sentinel), master, sentinel_username and sentinel_password (redis+sentinel)")
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// hasValidPort reports whether host:port has a host and a port that a server can have.
func hasValidPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	number, problem := strconv.ParseUint(port, 10, 16)
	return err == nil && host != "" && !strings.ContainsAny(host, " ,@") && problem == nil && number > 0
}

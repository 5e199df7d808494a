package files

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Dialer makes clients. Its zero value connects directly, and with the system's certificate authorities where the URL asks for TLS. The certificate of each server
// has to be for the host at which that one is dialled, unless TLS has a ServerName.
type Dialer struct {
	TLS     *tls.Config // client certificate, own certificate authority; only used with rediss://.
	Connect connector   // in the place of a TCP connection; with rediss:// TLS goes over it
}

type connector = func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial is [Dialer.Dial] of the zero Dialer.
func Dial(address string) (redis.UniversalClient, error) { return Dialer{}.Dial(address) }

// Dial makes a client for an address; it connects on first use. The forms, each also with rediss:// for TLS:
//
//	redis://user:password@host:6379/0
//	redis+cluster://user:password@host1:6379?addr=host2:6379&addr=host3:6379
//	redis+sentinel://user:password@host1:26379/0?master=name&addr=host2:26379&sentinel_username=u&sentinel_password=p
//
// The error never shows the address, as a password may be anywhere in a mistyped one.
func (d Dialer) Dial(address string) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the redis URL cannot be parsed; it should look like redis://user:password@host:6379/0, with special characters of the password percent-encoded")
	}
	options, err := d.options(u)
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w", err)
	}
	silence()
	return redis.NewUniversalClient(options), nil
}

func (d Dialer) options(u *url.URL) (*redis.UniversalOptions, error) {
	encrypted, form, ok := parseScheme(u.Scheme)
	if !ok {
		return nil, errors.New("it has to begin with redis://, rediss://, redis+cluster://, rediss+cluster://, redis+sentinel:// or rediss+sentinel://")
	}
	if u.Hostname() == "" {
		return nil, errors.New("it contains no host")
	}
	o := baseOptions()
	o.Dialer = d.Connect
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	port := "6379"
	if form == "sentinel" {
		port = "26379"
	}
	o.Addrs = []string{withPort(u.Host, port)}
	if encrypted {
		o.TLSConfig = cmp.Or(d.TLS, &tls.Config{MinVersion: tls.VersionTLS12})
		if d.Connect != nil {
			o.Dialer = overTLS(d.Connect, o.TLSConfig, o.DialTimeout)
		}
	}
	if database := strings.Trim(u.Path, "/"); database != "" {
		number, err := strconv.Atoi(database)
		if err != nil || number < 0 {
			return nil, errors.New("what follows the host has to be the number of a database, as in redis://host:6379/0")
		}
		o.DB = number
	}
	query := u.Query()
	for key, values := range query {
		switch {
		case key == "addr" && form != "":
			for _, addr := range values {
				o.Addrs = append(o.Addrs, withPort(addr, port))
			}
		case key == "master" && form == "sentinel":
			o.MasterName = values[0]
		case key == "sentinel_username" && form == "sentinel":
			o.SentinelUsername = values[0]
		case key == "sentinel_password" && form == "sentinel":
			o.SentinelPassword = values[0]
		default:
			return nil, errors.New("it has an unsupported parameter; supported are addr (cluster, sentinel), master, sentinel_username and sentinel_password (sentinel)")
		}
	}
	switch {
	case form == "sentinel" && o.MasterName == "":
		return nil, errors.New("with redis+sentinel:// the name of the master is needed: ?master=name")
	case form == "cluster" && o.DB != 0:
		return nil, errors.New("a Redis Cluster has only database 0")
	}
	o.IsClusterMode = form == "cluster"
	return o, nil
}

func parseScheme(scheme string) (encrypted bool, form string, ok bool) {
	name, form, _ := strings.Cut(scheme, "+")
	ok = (name == "redis" || name == "rediss") && (form == "" && !strings.Contains(scheme, "+") || form == "cluster" || form == "sentinel")
	return name == "rediss", form, ok
}

// baseOptions leave all retrying of commands to the Store: it knows for how long, and GetToBuffer cannot be repeated by the client.
func baseOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		MaxRetries:            -1,
		DialerRetries:         1,
		DialTimeout:           5 * time.Second,
		ReadTimeout:           20 * time.Second, // a chunk of 1 MiB over a line of 0.5 Mbit/s
		WriteTimeout:          20 * time.Second,
		PoolSize:              16,
		ContextTimeoutEnabled: true,
		// A limited ACL user may have neither command.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// overTLS is what the client library does in its own dialer alone: where it has another one, it leaves TLSConfig aside and speaks plain text.
func overTLS(connect connector, config *tls.Config, patience time.Duration) connector {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, stop := context.WithTimeout(ctx, patience) // a plain-text server may wait for the end of a line
		defer stop()
		plain, err := connect(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(plain, named(config, addr))
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close() // nothing was written that anybody would read
			return nil, fmt.Errorf("TLS with %s: %w", addr, err)
		}
		return conn, nil
	}
}

// named is the configuration for one server, as the client library makes it: a Cluster and a Sentinel tell addresses that are not in the URL, and each server's
// certificate is for its own.
func named(config *tls.Config, addr string) *tls.Config {
	if config.ServerName != "" {
		return config
	}
	config = config.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr) // withPort and the servers give all a port
	return config
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

var silenceOnce sync.Once

// silence keeps the client library from writing to stderr, where each line of the agent and of a provider means something.
func silence() { silenceOnce.Do(func() { redis.SetLogger(silent{}) }) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

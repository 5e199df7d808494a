package files

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Dialer creates clients. Its zero value connects directly, and uses the system's CAs if the URL asks for TLS. The certificate of each
// server must be valid for the host to which the client connects, unless TLS has a ServerName.
type Dialer struct {
	TLS     *tls.Config // client certificate and CA; used only with rediss://
	Connect connector   // replaces the TCP connection; with rediss://, TLS runs over it
}

type connector = func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial calls [Dialer.Dial] of the zero Dialer.
func Dial(address string) (redis.UniversalClient, error) { return Dialer{}.Dial(address) }

// Dial creates a client for a URL; it connects when it is first used. The forms, each also with rediss:// for TLS:
//
//	redis://user:password@host:6379/0
//	redis+cluster://user:password@host1:6379?addr=host2:6379&addr=host3:6379
//	redis+sentinel://user:password@host1:26379/0?master=name&addr=host2:26379&sentinel_username=u&sentinel_password=p
//
// The error never contains a part of the URL, because a mistyped one may contain a password anywhere.
func (d Dialer) Dial(address string) (redis.UniversalClient, error) {
	o, err := d.parseOptions(address)
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w", err)
	}
	return redis.NewUniversalClient(o), nil
}

// parseOptions parses a URL. The library's parsers do not know the forms after a plus sign, and have other names and defaults for some parts.
func (d Dialer) parseOptions(address string) (*redis.UniversalOptions, error) {
	if err := findMistake(address); err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errSyntax
	}
	scheme, form, hasForm := strings.Cut(u.Scheme, "+")
	if scheme != "redis" && scheme != "rediss" || hasForm && form != "cluster" && form != "sentinel" {
		return nil, errScheme
	}
	if u.Hostname() == "" {
		return nil, errHost
	}
	query, err := libraryQuery(u.RawQuery, form)
	if err != nil {
		return nil, err
	}
	u.Scheme, u.RawQuery = scheme, query.Encode()
	o := baseOptions()
	switch form {
	case "cluster":
		if database := strings.Trim(u.Path, "/"); database != "" && database != "0" {
			return nil, errors.New("a Redis Cluster has only database 0")
		}
		parsed, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, errPart
		}
		o.Addrs, o.Username, o.Password, o.IsClusterMode = parsed.Addrs, parsed.Username, parsed.Password, true
	case "sentinel":
		u.Host = withPort(u.Host, sentinelPort)
		parsed, err := redis.ParseFailoverURL(u.String())
		if err != nil {
			return nil, errPart
		}
		o.Addrs, o.MasterName, o.DB = parsed.SentinelAddrs, parsed.MasterName, parsed.DB
		// To the library the user in front of the host is the sentinels'; to redis.url it is the servers', as in the other forms.
		o.Username, o.Password, o.SentinelUsername, o.SentinelPassword = parsed.SentinelUsername, parsed.SentinelPassword, parsed.Username, parsed.Password
	default:
		parsed, err := redis.ParseURL(u.String())
		if err != nil {
			return nil, errPart
		}
		o.Addrs, o.Username, o.Password, o.DB = []string{parsed.Addr}, parsed.Username, parsed.Password, parsed.DB
	}
	for _, addr := range o.Addrs {
		if !hasValidPort(addr) {
			return nil, errHost
		}
	}
	if o.DB < 0 {
		return nil, errPart
	}
	connect := d.Connect
	if connect == nil {
		connect = redis.NewDialer(&redis.Options{DialTimeout: o.DialTimeout})
	}
	if scheme == "rediss" {
		o.TLSConfig = cmp.Or(d.TLS, &tls.Config{MinVersion: tls.VersionTLS12})
		connect = addTLS(connect, o.TLSConfig, o.DialTimeout)
	}
	o.Dialer = limitReplies(connect)
	return o, nil
}

// baseOptions returns options that leave retries of commands to the Store: it knows the time limit, and the client cannot repeat
// GetToBuffer.
func baseOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		MaxRetries:            -1,
		DialerRetries:         1,
		DialTimeout:           5 * time.Second,
		ReadTimeout:           20 * time.Second, // a chunk of 1 MiB at 0.5 Mbit/s
		WriteTimeout:          20 * time.Second,
		PoolSize:              16,
		PipelinePoolSize:      -1, // otherwise pipelines have separate connections
		ContextTimeoutEnabled: true,
		// An ACL user with few permissions may be allowed neither command.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// addTLS adds TLS to a connector. The client library does this only in its own dialer: with another one it ignores TLSConfig and sends
// plain text.
func addTLS(connect connector, config *tls.Config, patience time.Duration) connector {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, stop := context.WithTimeout(ctx, patience) // a server without TLS may wait for the end of a line
		defer stop()
		plain, err := connect(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(plain, withServerName(config, addr))
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close() // nothing was written
			return nil, fmt.Errorf("TLS with %s: %w", addr, err)
		}
		return conn, nil
	}
}

// withServerName returns the configuration for one server, as the client library does: a Cluster and a Sentinel report addresses that are not in the
// URL, and each server's certificate is for its own address.
func withServerName(config *tls.Config, addr string) *tls.Config {
	if config.ServerName != "" {
		return config
	}
	config = config.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr) // every address has a port: withPort and the servers add it
	return config
}

// Package requestlog writes requests to the API server and commands to Redis to the log of the provider, at DEBUG. It never logs a body, a header, a query
// or a value, because each may contain a secret.
package requestlog

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"
	"github.com/redis/go-redis/v9"
)

// The subsystems of the log. TF_LOG_PROVIDER_BRANE_KUBERNETES and TF_LOG_PROVIDER_BRANE_REDIS set their levels; by default it is that of the provider.
const (
	kubernetes  = "kubernetes"
	redisServer = "redis"

	levelVariable = "TF_LOG_PROVIDER_BRANE"
)

// WrapTransport returns a transport that logs the method, path, status and duration of each request. The duration ends with the headers of the response.
func WrapTransport(next http.RoundTripper) http.RoundTripper { return transport{next} }

type transport struct{ next http.RoundTripper }

// RoundTrip sends a request and logs it.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	start := time.Now()
	response, err := t.next.RoundTrip(request)
	fields := map[string]any{"method": request.Method, "path": request.URL.Path, "duration_ms": milliseconds(start)}
	if err == nil {
		fields["status"] = response.StatusCode
	} else {
		fields["error"] = describe(err)
	}
	write(request.Context(), kubernetes, "API request", fields)
	return response, err
}

// WrappedRoundTripper returns the transport that logs nothing, for client-go, which looks for the one that it can close.
func (t transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// AddRedisHook logs the commands of a client: name, key and duration. Commands of one pipeline are logged together.
func AddRedisHook(client redis.UniversalClient) { client.AddHook(redisHook{}) }

type redisHook struct{}

func (redisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		start := time.Now()
		conn, err := next(ctx, network, address)
		fields := map[string]any{"address": address, "duration_ms": milliseconds(start)}
		if err != nil {
			fields["error"] = describe(err)
		}
		write(ctx, redisServer, "Redis connection", fields)
		return conn, err
	}
}

func (redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		start := time.Now()
		err := next(ctx, command)
		fields := map[string]any{"command": command.Name(), "duration_ms": milliseconds(start)}
		if key := keyOf(command); key != "" {
			fields["key"] = key
		}
		if err != nil && !errors.Is(err, redis.Nil) {
			fields["error"] = describe(err)
		}
		write(ctx, redisServer, "Redis command", fields)
		return err
	}
}

func (redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		start := time.Now()
		err := next(ctx, commands)
		var names []string
		for _, command := range commands {
			names = append(names, command.Name())
		}
		slices.Sort(names)
		fields := map[string]any{"commands": strings.Join(slices.Compact(names), " "), "count": len(commands), "duration_ms": milliseconds(start)}
		if err != nil && !errors.Is(err, redis.Nil) {
			fields["error"] = describe(err)
		}
		write(ctx, redisServer, "Redis pipeline", fields)
		return err
	}
}

// keyPrefix is the beginning of all keys that the provider uses. Other arguments are not logged: those of AUTH, HELLO and ACL are secrets.
const keyPrefix = "brane:"

// keyOf returns the key of a command; empty if its first argument is none.
func keyOf(command redis.Cmder) string {
	args := command.Args()
	if len(args) < 2 {
		return ""
	}
	if key, isText := args[1].(string); isText && strings.HasPrefix(key, keyPrefix) {
		return key
	}
	return ""
}

// describe classifies an error. Its text is part of the diagnostic, where secrets are removed.
func describe(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	var answer redis.Error
	if errors.As(err, &answer) {
		code, _, _ := strings.Cut(answer.Error(), " ") // for example NOAUTH
		return code
	}
	return "no response"
}

func milliseconds(start time.Time) int64 { return time.Since(start).Milliseconds() }

// write writes an entry to a subsystem of the logger in ctx. It writes nothing if ctx has no logger, as in tests.
func write(ctx context.Context, subsystem, message string, fields map[string]any) {
	ctx = tflog.NewSubsystem(ctx, subsystem, tflog.WithLevelFromEnv(levelVariable, subsystem))
	tflog.SubsystemDebug(ctx, subsystem, message, fields)
}

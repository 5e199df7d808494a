package files

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

func TestDialRefusesWithoutShowingTheAddress(t *testing.T) {
	const (
		scheme   = "redis URL: it has to begin with redis://, rediss://, redis+cluster://, rediss+cluster://, redis+sentinel:// or rediss+sentinel://"
		unparsed = "redis URL: it cannot be parsed; it should look like redis://user:password@host:6379/0, with special characters of the password percent-encoded (# as %23, / as %2F, @ as %40)"
		database = "redis URL: what follows the host has to be the number of a database, as in redis://host:6379/0, and each addr a host or host:port"
	)
	for name, tt := range map[string]struct{ url, want string }{
		"another scheme":              {"http://u:s3cret@h", scheme},
		"no scheme":                   {"s3cret", scheme},
		"an unknown form":             {"redis+ring://h", scheme},
		"half a form":                 {"redis+://h", scheme},
		"a password with a slash":     {"redis://:s3cret/x%zz@h:1/0", unparsed},
		"no host":                     {"redis://:s3cret@/0", "redis URL: it contains no host with a valid port"},
		"a database that is a word":   {"redis://h/s3cret", database},
		"a negative database":         {"redis://h/-1", database},
		"an unknown parameter":        {"redis://h/0?password=s3cret", "redis URL: it has an unsupported parameter; user and password precede the host, as in redis://user:password@host; redis.password (BRANE_REDIS_PASSWORD) is another place for the password"},
		"a Sentinel without a master": {"redis+sentinel://h/0", "redis URL: with redis+sentinel:// the name of the master is needed: ?master=name"},
		"a Cluster with a database":   {"redis+cluster://h/1", "redis URL: a Redis Cluster has only database 0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(tt.url)
			if fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// noDisk is the warning about every server that redistest starts with its default configuration.
const noDisk = "redis persists nothing on disk (no append-only file, no snapshots): files and results are lost when it restarts"

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		args     []string
		user     []string // arguments of ACL SETUSER after "brane on >pw"
		warnings string
		fact     error
		want     string // part of the message
	}{
		"all is well":                                 {args: []string{"--appendonly", "yes"}, warnings: "[]"},
		"nothing is kept on disk":                     {warnings: "[" + noDisk + "]"},
		"it has a limit, but evicts nothing":          {args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "noeviction"}, warnings: "[" + noDisk + "]"},
		"it would evict, but has no limit":            {args: []string{"--maxmemory-policy", "allkeys-lru"}, warnings: "[" + noDisk + "]"},
		"it evicts any key":                           {args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}, warnings: "[" + noDisk + "]", fact: ErrEvicts, want: "its maxmemory-policy is allkeys-lru"},
		"it evicts keys with a deadline":              {args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "volatile-ttl"}, warnings: "[" + noDisk + "]", fact: ErrEvicts, want: "its maxmemory-policy is volatile-ttl"},
		"the user may do all":                         {user: []string{"~*", "&*", "+@all"}, warnings: "[" + noDisk + "]"},
		"the user may not ask INFO":                   {user: []string{"~*", "&*", "+@all", "-info"}, warnings: "[the redis user may not run INFO, so the version, memory policy and persistence of the server were not checked]"},
		"the user may not ask CONFIG":                 {user: []string{"~*", "&*", "+@all", "-config"}, warnings: "[the redis user may not run CONFIG GET, so it was not checked whether redis saves snapshots; it has no append-only file]"},
		"only snapshots":                              {args: []string{"--save", "3600 1"}, warnings: "[redis has snapshots, but no append-only file: when it restarts, it loses the files and results that were written after the last snapshot; set appendonly yes]"},
		"CONFIG is not needed":                        {args: []string{"--appendonly", "yes"}, user: []string{"~*", "&*", "+@all", "-config"}, warnings: "[]"},
		"the user may not write":                      {user: []string{"~*", "&*", "+@all", "-set"}, warnings: "[" + noDisk + "]", fact: ErrForbidden, want: `run SET on a key that begins with "brane:"`},
		"the user may not touch the keys":             {user: []string{"~other:*", "&*", "+@all"}, warnings: "[" + noDisk + "]", fact: ErrForbidden, want: `run GET on a key that begins with "brane:"`},
		"the user may not announce":                   {user: []string{"~*", "+@all"}, warnings: "[" + noDisk + "]", fact: ErrForbidden, want: `run PUBLISH`},
		"the user may not look for what is to delete": {user: []string{"~*", "&*", "+@all", "-scan"}, warnings: "[" + noDisk + "]", fact: ErrForbidden, want: `run SCAN`},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, tt.args...)
			admin := server.Client()
			url := server.URL()
			if tt.user != nil {
				rules := append([]string{"resetchannels", "on", ">s3cret"}, tt.user...)
				if err := admin.ACLSetUser(t.Context(), "brane", rules...).Err(); err != nil {
					t.Fatal(err)
				}
				url = "redis://brane:s3cret@" + server.Addr()
			}
			warnings, err := Check(t.Context(), dial(t, url))
			if got := fmt.Sprint(warnings); got != tt.warnings {
				t.Errorf("warnings are %s, want %s", got, tt.warnings)
			}
			if !errors.Is(err, tt.fact) || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v, want a %v with %q", err, tt.fact, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "s3cret") {
				t.Errorf("the message shows the password: %v", err)
			}
			if n := admin.DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("the check left %d keys", n)
			}
		})
	}
}

func TestCheckOfServersThatDoNotLetUsIn(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "s3cret")
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		url  string
		fact error
		want string
	}{
		"a wrong password": {"redis://:wr0ng@" + server.Addr(), ErrPassword, "check redis: redis refuses the user name or password: WRONGPASS"},
		"no password":      {"redis://" + server.Addr(), ErrPassword, "check redis: redis refuses the user name or password: NOAUTH"},
		"an unknown user":  {"redis://nobody:s3cret@" + server.Addr(), ErrPassword, "check redis: redis refuses the user name or password: WRONGPASS"},
		"nobody answers":   {"redis://:s3cret@" + silent, ErrUnreachable, "check redis: redis cannot be reached: dial tcp " + silent},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Check(t.Context(), dial(t, tt.url))
			if !errors.Is(err, tt.fact) || !strings.HasPrefix(fmt.Sprint(err), tt.want) {
				t.Errorf("got  %v\nwant %s…", err, tt.want)
			}
			if text := fmt.Sprint(err); strings.Contains(text, "wr0ng") || strings.Contains(text, "s3cret") {
				t.Errorf("the message shows the password: %v", err)
			}
		})
	}
}

// TestClockSkewWarning checks the warning about a server whose answers to TIME are ten minutes ahead. Several warnings are sorted.
func TestClockSkewWarning(t *testing.T) {
	server := redistest.Start(t)
	for name, tt := range map[string]struct {
		ahead time.Duration
		want  string
	}{
		"by ten minutes": {10 * time.Minute, "[" + noDisk + " the clocks of redis and of the client differ by 10m0s: the files of a run expire too early or too late by as much]"},
		"behind":         {-2 * time.Hour, "[" + noDisk + " the clocks of redis and of the client differ by 2h0m0s: the files of a run expire too early or too late by as much]"},
		"hardly":         {20 * time.Second, "[" + noDisk + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, server.URL())
			client.AddHook(otherClock(tt.ahead))
			warnings, err := Check(t.Context(), client)
			if err != nil || fmt.Sprint(warnings) != tt.want {
				t.Errorf("Check says %s, %v\nwant %s", warnings, err, tt.want)
			}
			s := open(t, client, "clock")
			if ahead := time.Until(s.Now(t.Context())); (ahead - tt.ahead).Abs() > 10*time.Second {
				t.Errorf("Now is %s ahead, want %s", ahead, tt.ahead)
			}
		})
	}
}

// otherClock changes the server's answers to TIME, as its clock is that of the machine.
type otherClock time.Duration

func (o otherClock) DialHook(next redis.DialHook) redis.DialHook { return next }
func (o otherClock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (o otherClock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if now, ok := cmd.(*redis.TimeCmd); ok {
			now.SetVal(now.Val().Add(time.Duration(o)))
		}
		return err
	}
}

package disturb_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/disturb"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var sets atomic.Int32
	proxy, err := disturb.NewRedis(server.Addr(), func(command disturb.RedisCommand) {
		if command.Name == "SET" && command.Key == "k" && command.Host == 0 {
			sets.Add(1)
		}
	}, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr(0), MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Second, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	set := func() string {
		if err := client.Set(t.Context(), "k", strings.Repeat("v", 100_000), 0).Err(); err != nil {
			return err.Error()
		}
		return ""
	}
	check := func(what, got, part string) {
		t.Helper()
		if part == "" && got != "" || !strings.Contains(got, part) {
			t.Errorf("%s: %q, want %q", what, got, part)
		}
	}
	check("none", set(), "")
	proxy.Disturb(disturb.RedisFault{Error: "NOREPLICAS Not enough good replicas to write.", Writes: true})
	check("a command that writes", set(), "NOREPLICAS")
	if text, err := client.Get(t.Context(), "k").Result(); err != nil || len(text) != 100_000 {
		t.Errorf("a command that reads returns %d bytes, %v", len(text), err)
	}
	proxy.Disturb(disturb.RedisFault{Hangs: true})
	check("no response", set(), "timeout")
	proxy.Disturb(disturb.RedisFault{IsAway: true})
	if set() == "" {
		t.Error("a server that is away answers")
	}
	testenv.AwaitTrue(t, "the end of the connections", func() bool { return proxy.CountConnections() == 0 })
	proxy.Repair()
	check("repaired", set(), "")
	if got := sets.Load(); got < 4 {
		t.Errorf("%d commands were observed", got)
	}
}

func TestAPIServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("Authorization"))) }))
	t.Cleanup(server.Close)
	proxy, err := disturb.NewAPIServer(&rest.Config{Host: server.URL, BearerToken: "its own"}, func(*http.Request) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	client := proxy.Client()
	client.Timeout = time.Second
	get := func() string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "the client's")
		response, err := client.Do(request)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		var text strings.Builder
		_ = response.Write(&text)
		return text.String()
	}
	for what, tt := range map[string]struct {
		answer disturb.Answer
		part   string
	}{
		"none":  {nil, "the client's"},
		"late":  {disturb.AnswerLate(time.Millisecond), "the client's"},
		"500":   {disturb.AnswerStatus(http.StatusInternalServerError, metav1.StatusReasonInternalError), "500 Internal Server Error"},
		"reset": {disturb.AnswerReset, "stream error"},
		"hangs": {disturb.AnswerNothing, "Client.Timeout"},
	} {
		proxy.Disturb(tt.answer, false)
		if got := get(); !strings.Contains(got, tt.part) {
			t.Errorf("%s: %s", what, got)
		}
	}
	if proxy.CountConnections() == 0 {
		t.Error("no connection is counted")
	}
}

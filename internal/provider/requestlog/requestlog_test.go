package requestlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflogtest"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

const secret = "s3cret"

// entries returns what was logged. Durations are removed.
func entries(t *testing.T, log *bytes.Buffer) []map[string]any {
	t.Helper()
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log contains a secret:\n%s", log)
	}
	lines, err := tflogtest.MultilineJSONDecode(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if _, isNumber := line["duration_ms"].(float64); !isNumber {
			t.Errorf("no duration in %v", line)
		}
	}
	return lines
}

func TestAPIRequestsAreLogged(t *testing.T) {
	t.Setenv("TF_LOG", "DEBUG")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, secret, http.StatusForbidden)
	}))
	defer server.Close()
	var log bytes.Buffer
	send := func(url string) {
		request, err := http.NewRequestWithContext(tflogtest.RootLogger(t.Context(), &log), http.MethodPost, url, strings.NewReader(secret))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+secret)
		if response, err := WrapTransport(http.DefaultTransport).RoundTrip(request); err == nil {
			response.Body.Close()
		}
	}
	send(server.URL + "/api/v1/namespaces/brane/secrets?fieldManager=" + secret)
	send("http://127.0.0.1:1/api")
	got := entries(t, &log)
	if len(got) != 2 {
		t.Fatalf("%d entries: %v", len(got), got)
	}
	if e := got[0]; e["@module"] != "provider.kubernetes" || e["@level"] != "debug" || e["method"] != "POST" || e["path"] != "/api/v1/namespaces/brane/secrets" || e["status"] != 403. {
		t.Errorf("got %v", e)
	}
	if e := got[1]; e["error"] != "no response" || e["status"] != nil {
		t.Errorf("got %v", e)
	}
}

func TestRedisCommandsAreLogged(t *testing.T) {
	server := redistest.Start(t, "--requirepass", secret)
	var log bytes.Buffer
	ctx := tflogtest.RootLogger(t.Context(), &log)
	client := server.Client()
	AddRedisHook(client)
	if err := client.Set(ctx, "brane:run:meta", secret, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Get(ctx, "brane:run:none").Err(); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if err := client.ACLSetUser(ctx, "user", ">"+secret).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.LPush(ctx, "brane:run:meta", secret).Err(); err == nil {
		t.Fatal("a text is a list")
	}
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Get(ctx, "brane:run:meta")
		p.Set(ctx, "brane:run:meta", secret, 0)
		p.Get(ctx, "brane:run:meta")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries(t, &log) {
		text := fmt.Sprint(entry["@message"])
		for _, field := range []string{"command", "commands", "count", "key", "error"} {
			if value, found := entry[field]; found {
				text += fmt.Sprintf(" %s=%v", field, value)
			}
		}
		got = append(got, text)
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"Redis command command=set key=brane:run:meta", "Redis command command=get key=brane:run:none", "Redis command command=acl",
		"Redis command command=lpush key=brane:run:meta error=WRONGTYPE", "Redis pipeline commands=get set count=3",
	} {
		if !strings.Contains(all+"\n", want+"\n") {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
}

// TestNothingIsLoggedWithoutALogger sends a request whose context has no logger.
func TestNothingIsLoggedWithoutALogger(t *testing.T) {
	write(context.Background(), kubernetes, "API request", nil)
}

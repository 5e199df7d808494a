package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

const asProvider = "BRANE_TEST_AS_PROVIDER"

// TestMain runs this test program as the provider if a test below has started it so.
func TestMain(m *testing.M) {
	if os.Getenv(asProvider) == "" {
		os.Exit(m.Run())
	}
	main()
}

// startProvider starts this test program as the provider and returns its standard output.
func startProvider(t *testing.T, cmd *exec.Cmd) *bufio.Reader {
	t.Helper()
	cmd.Env = slices.DeleteFunc(append(os.Environ(), cmd.Env...), func(v string) bool { return strings.HasPrefix(v, "TF_LOG") && !slices.Contains(cmd.Env, v) })
	cmd.Env = append(cmd.Env, asProvider+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(out)
}

func testProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// getMetadata starts the provider as the CLI does, but without TLS, asks for its metadata and returns what it logged.
func getMetadata(t *testing.T, environment ...string) string {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), testProgram(t))
	cmd.Env = append(environment, "TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2", "PLUGIN_PROTOCOL_VERSIONS=6")
	cmd.Stderr = &log
	handshake, err := startProvider(t, cmd).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimSpace(handshake), "|") // core protocol|protocol|network|address|grpc|…
	if len(parts) < 5 || parts[1] != "6" || parts[4] != "grpc" {
		t.Fatalf("the handshake is %q", handshake)
	}
	conn, err := grpc.NewClient(parts[2]+":"+parts[3], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The messages of the protocol are internal to their library. An empty request needs none, and the content of the answer does not matter here.
	if err := conn.Invoke(t.Context(), "/tfplugin6.Provider/GetMetadata", &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed; after Wait the log is complete
	return log.String()
}

// The SDKs trace every request. A CLI that keeps no log should not have to read that.
func TestSDKLogsFollowTheCLI(t *testing.T) {
	for name, tt := range map[string]struct {
		environment []string
		isTraced    bool
	}{
		"no log":                          {nil, false},
		"only the log of the CLI itself":  {[]string{"TF_LOG_CORE=trace"}, false},
		"all logs":                        {[]string{"TF_LOG=trace"}, true},
		"all logs, as JSON":               {[]string{"TF_LOG=JSON"}, true},
		"the log of providers":            {[]string{"TF_LOG_PROVIDER=TRACE"}, true},
		"only warnings":                   {[]string{"TF_LOG=warn"}, false},
		"less of providers than of all":   {[]string{"TF_LOG=trace", "TF_LOG_PROVIDER=info"}, false},
		"the log of the SDKs":             {[]string{"TF_LOG_SDK=trace"}, true},
		"the log of the protocol library": {[]string{"TF_LOG_SDK_PROTO=trace"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := getMetadata(t, tt.environment...)
			if isTraced := strings.Contains(log, "Served request"); isTraced != tt.isTraced {
				t.Errorf("the log is\n%s", log)
			}
		})
	}
}

func TestStartedByHand(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), testProgram(t))
	cmd.Env = append(os.Environ(), asProvider+"=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "This binary is a plugin") {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestDebug(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), testProgram(t), "-debug")
	lines := bufio.NewScanner(startProvider(t, cmd))
	var providers map[string]struct {
		Protocol        string
		ProtocolVersion int
		Addr            struct{ Network, String string }
	}
	for providers == nil && lines.Scan() {
		_, text, found := strings.Cut(lines.Text(), "TF_REATTACH_PROVIDERS='")
		if !found {
			continue
		}
		if err := json.Unmarshal([]byte(strings.TrimSuffix(text, "'")), &providers); err != nil {
			t.Fatal(err)
		}
	}
	if p := providers[address]; p.Protocol != "grpc" || p.ProtocolVersion != 6 || p.Addr.Network != "unix" {
		t.Errorf("the reattach configuration is %v", providers)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
	if _, err := os.Stat(providers[address].Addr.String); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket still exists: %v", err)
	}
}

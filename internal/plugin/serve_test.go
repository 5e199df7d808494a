package plugin_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/braneframework/terraform-provider-brane/internal/plugin"
	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

const address = "registry.terraform.io/braneframework/brane"

// TestMain lets this program be the provider for the tests below, which start it a second time.
func TestMain(m *testing.M) {
	mode := os.Getenv("BRANE_TEST_SERVE")
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := plugin.Serve(address, providerserver.NewProtocol6(provider.New("test")()), mode == "debug"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// program is this program as the provider.
func program(t *testing.T, mode string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "BRANE_TEST_SERVE="+mode, "TMPDIR="+t.TempDir())
	return cmd
}

// cli starts the provider as a CLI does; with or without mutual TLS.
func cli(t *testing.T, mutual bool) (*goplugin.Client, goplugin.ClientProtocol) {
	t.Helper()
	return start(t, program(t, "plugin"), mutual, io.Discard)
}

// start is a CLI that starts this program; what it logs goes to log.
func start(t *testing.T, provider *exec.Cmd, mutual bool, log io.Writer) (*goplugin.Client, goplugin.ClientProtocol) {
	t.Helper()
	client := goplugin.NewClient(&goplugin.ClientConfig{
		Stderr: log,
		HandshakeConfig: goplugin.HandshakeConfig{
			MagicCookieKey: "TF_PLUGIN_MAGIC_COOKIE", MagicCookieValue: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
		},
		VersionedPlugins: map[int]goplugin.PluginSet{6: {"provider": &tf6server.GRPCProviderPlugin{}}},
		Cmd:              provider,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         mutual,
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	return client, protocol
}

func TestServeACLI(t *testing.T) {
	for name, mutual := range map[string]bool{"with mutual TLS": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, protocol := cli(t, mutual)
			if err := protocol.Ping(); err != nil {
				t.Fatal(err)
			}
			if version := client.NegotiatedVersion(); version != 6 {
				t.Errorf("speaks version %d", version)
			}
			client.Kill()
			if !client.Exited() {
				t.Error("it goes on after the CLI has asked it to end")
			}
		})
	}
}

// Another program of the same user that finds the socket is not let in.
func TestServeRefusesStrangers(t *testing.T) {
	t.Parallel()
	client, _ := cli(t, true)
	at := client.ReattachConfig().Addr
	conn, err := tls.Dial(at.Network(), at.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1)) // with TLS 1.3 the refusal comes after the handshake
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a stranger gets %v", err)
	}
}

// The libraries trace every request. A CLI that keeps no log is not made to read that.
func TestServeLogsWhatIsAsked(t *testing.T) {
	for name, tt := range map[string]struct {
		environment []string
		traced      bool
	}{
		"nobody asks for a log":                      {nil, false},
		"the core's log is asked for":                {[]string{"TF_LOG_CORE=trace"}, false},
		"everything is asked for":                    {[]string{"TF_LOG=trace"}, true},
		"everything is asked for, as JSON":           {[]string{"TF_LOG=JSON"}, true},
		"the providers' log is asked for":            {[]string{"TF_LOG_PROVIDER=TRACE"}, true},
		"only warnings are asked for":                {[]string{"TF_LOG=warn"}, false},
		"the providers' log is asked for to be less": {[]string{"TF_LOG=trace", "TF_LOG_PROVIDER=info"}, false},
		"the libraries' log is asked for":            {[]string{"TF_LOG_SDK=trace", "TF_LOG_SDK_PROTO=trace"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			provider := program(t, "plugin")
			provider.Env = slices.DeleteFunc(provider.Env, func(v string) bool { return strings.HasPrefix(v, "TF_LOG") })
			provider.Env = append(provider.Env, tt.environment...)
			client, protocol := start(t, provider, false, &log)
			grpc, ok := protocol.(*goplugin.GRPCClient)
			if !ok {
				t.Fatalf("the protocol is %T", protocol)
			}
			// The protocol's own messages are internal to their library; an empty request needs none, and of the answer only the log counts.
			if err := grpc.Conn.Invoke(t.Context(), "/tfplugin6.Provider/GetMetadata", &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
				t.Fatal(err)
			}
			client.Kill() // then everything is read
			if traced := strings.Contains(log.String(), "Served request"); traced != tt.traced {
				t.Errorf("the log is\n%s", &log)
			}
		})
	}
}

func TestServeStartedByHand(t *testing.T) {
	t.Parallel()
	out, err := program(t, "plugin").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || string(out) != plugin.ErrNotStartedByCLI.Error()+"\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestServeForADebugger(t *testing.T) {
	t.Parallel()
	cmd := program(t, "debug")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var found map[string]struct {
		Protocol        string
		ProtocolVersion int
		Addr            struct{ Network, String string }
	}
	for lines := bufio.NewScanner(out); found == nil && lines.Scan(); {
		_, text, ok := strings.Cut(lines.Text(), "TF_REATTACH_PROVIDERS='")
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(strings.TrimSuffix(text, "'")), &found); err != nil {
			t.Fatal(err)
		}
	}
	if at := found[address]; at.Protocol != "grpc" || at.ProtocolVersion != 6 || at.Addr.Network != "unix" {
		t.Errorf("it says %v", found)
	}
	if _, err := os.Stat(found[address].Addr.String); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
	if _, err := os.Stat(found[address].Addr.String); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// Package plugin makes this program a plugin that Terraform and OpenTofu start: the handshake of go-plugin on standard output, mutual TLS, and the
// provider's gRPC service behind it.
//
// It takes the place of go-plugin's own Serve, which links net/rpc for plugins of a kind that no CLI speaks any more. net/rpc looks methods up by reflection, so
// the linker must keep every exported method of every type in the program: 38 MiB instead of 28, and 10 MB more in memory for every process that a CLI starts.
// For the same reason the program is built with the tag grpcnotrace, without which gRPC links text/template.
//
// It knows nothing of what the provider does.
package plugin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"google.golang.org/grpc"
)

const (
	cookieKey   = "TF_PLUGIN_MAGIC_COOKIE"
	cookieValue = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"

	// protocol is the version of Terraform's protocol, the only one that is spoken here.
	protocol = 6

	// maxMessage is the CLIs' own limit: a state may be large.
	maxMessage = 256 << 20
)

// ErrNotStartedByCLI says that the program was started by hand.
var ErrNotStartedByCLI = errors.New("this is a plugin, which Terraform and OpenTofu start: name the provider in a configuration and run one of them")

// Serve serves the provider at its registry address until the CLI has ended it. With debug it is started by hand, says on standard output how a CLI finds it, and
// ends at an interrupt.
func Serve(address string, provider func() tfprotov6.ProviderServer, debug bool) error {
	if !debug && os.Getenv(cookieKey) != cookieValue {
		return ErrNotStartedByCLI
	}
	if err := logAsAsked(); err != nil {
		return err
	}
	identity, certificate, err := identify(os.Getenv("PLUGIN_CLIENT_CERT"))
	if err != nil {
		return err
	}
	listener, tidy, err := listen()
	if err != nil {
		return fmt.Errorf("listen for the CLI: %w", err)
	}
	defer tidy()

	silence, _ := io.Pipe() // what go-plugin would forward: standard output and error stay this process' own, which the CLI reads as well
	var connections *grpc.Server
	server := &goplugin.GRPCServer{
		Plugins: goplugin.PluginSet{"provider": &tf6server.GRPCProviderPlugin{
			GRPCProvider: provider, Name: address,
		}},
		Server: func(options []grpc.ServerOption) *grpc.Server {
			connections = grpc.NewServer(append(options, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...)
			return connections
		},
		TLS: identity, Stdout: silence, Stderr: silence,
	}
	if err := server.Init(); err != nil {
		return fmt.Errorf("set up the server for the CLI: %w", err)
	}
	// A CLI gets the terminal's Ctrl-C as well, and tells us by the protocol what it means. Not signal.Ignore, which programs that we start would inherit.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	if debug {
		if err := announce(address, listener.Addr()); err != nil {
			return err
		}
		go func() {
			<-interrupts
			server.Stop()
		}()
	} else {
		fmt.Printf("%d|%d|%s|%s|grpc|%s\n", goplugin.CoreProtocolVersion, protocol, listener.Addr().Network(), listener.Addr(), base64.RawStdEncoding.EncodeToString(certificate))
	}
	// Not server.Serve: it tells errors to a logger that only go-plugin's own Serve can give it.
	if err := connections.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve the CLI: %w", err)
	}
	return nil
}

// listen opens a socket that nobody but this user reaches; Windows has a port of the loopback instead.
func listen() (net.Listener, func(), error) {
	if runtime.GOOS == "windows" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		return listener, func() {}, err
	}
	dir, err := os.MkdirTemp("", "brane-")
	if err != nil {
		return nil, nil, err
	}
	tidy := func() { _ = os.RemoveAll(dir) } // the system's temporary folder: nothing to say if it stays
	listener, err := net.Listen("unix", filepath.Join(dir, "plugin"))
	if err != nil {
		tidy()
	}
	return listener, tidy, err
}

// announce says how a CLI finds a provider that runs already.
func announce(address string, at net.Addr) error {
	type addr struct{ Network, String string }
	type reattach struct {
		Protocol        string
		ProtocolVersion int
		Pid             int
		Test            bool // the CLI does not end us
		Addr            addr
	}
	text, err := json.Marshal(map[string]reattach{address: {"grpc", protocol, os.Getpid(), true, addr{at.Network(), at.String()}}})
	if err != nil {
		return err
	}
	_, err = fmt.Printf("Set this for the CLI, and stop the provider with Ctrl-C:\n\n\tTF_REATTACH_PROVIDERS='%s'\n", text)
	return err
}

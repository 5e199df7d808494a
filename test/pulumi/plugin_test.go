package pulumi

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// root is the directory of the repository.
const root = "../.."

// engine is a server for the plugin's log, as Pulumi's CLI has one.
type engine struct {
	pulumirpc.UnimplementedEngineServer
}

// startPlugin starts the plugin, and lets it start the provider.
func startPlugin(t *testing.T) pulumirpc.ResourceProviderClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	server := grpc.NewServer()
	pulumirpc.RegisterEngineServer(server, engine{})
	go func() { _ = server.Serve(listener) }() // it ends with the test
	t.Cleanup(server.Stop)

	cmd := exec.Command(findProgram(t, ".bin/pulumi-resource-terraform-provider"), listener.Addr().String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // also the provider
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	noError(t, err)
	connection, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(port),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	noError(t, err)
	t.Cleanup(func() { _ = connection.Close() })

	plugin := pulumirpc.NewResourceProviderClient(connection)
	arguments := &pulumirpc.ParameterizeRequest_ParametersArgs{Args: []string{findProgram(t, ".bin/terraform-provider-brane")}}
	_, err = plugin.Parameterize(t.Context(), &pulumirpc.ParameterizeRequest{Parameters: &pulumirpc.ParameterizeRequest_Args{Args: arguments}})
	noError(t, err)
	return plugin
}

// readTranslation returns the schemas as the plugin translates them.
func readTranslation(t *testing.T, plugin pulumirpc.ResourceProviderClient) schema.PackageSpec {
	t.Helper()
	response, err := plugin.GetSchema(t.Context(), &pulumirpc.GetSchemaRequest{SubpackageName: "brane", SubpackageVersion: "0.0.0"})
	noError(t, err)
	var translated schema.PackageSpec
	noError(t, json.Unmarshal([]byte(response.GetSchema()), &translated))
	return translated
}

// findProgram returns the path of a program that make test-pulumi builds.
func findProgram(t *testing.T, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(root, name))
	noError(t, err)
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%v; make test-pulumi builds it", err)
	}
	return file
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package workflowrun_test

import (
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// What a CSI driver makes for a step is there, from the attributes and the Secret that the step names; it is no part of the run's files.
func TestAccWorkflowRun_csi(t *testing.T) {
	t.Parallel()
	clustertest.RequireOwn(t) // the driver listens in a directory of the node
	s := heldrun.NewRunIn(t, nil, "csi", `
  steps = { both = {
    image   = "$TOOLS"
    command = ["sh", "-ec", "if touch /jfs/mine 2>/dev/null; then exit 3; fi; cat /jfs/told > /data/both"]
    volumes = { jfs = { mount_path = "/jfs", read_only = true, csi = { driver = "$NAMESPACE", volume_attributes = { volume = "first" }, node_publish_secret = "jfs" } } }
  } }
  outputs = { both = { path = "both" } }
`)
	serveCSI(t, s)
	s.Kubectl(t, fmt.Sprintf(`
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: %s}
spec: {attachRequired: false, volumeLifecycleModes: [Ephemeral]}
---
apiVersion: v1
kind: Secret
metadata: {name: jfs, namespace: %[1]s}
stringData: {token: slow}
`, s.Namespace), "create", "-f", "-")
	t.Cleanup(func() { s.Kubectl(t, "", "delete", "csidriver", s.Namespace) })
	s.CheckEnd(t, nil)
	s.CheckNothingLeft(t)
}

// Where the kubelet looks for plugins and has its pods, as it sees it; and where that is in the cluster's folder.
const kubelet, kubeletOutside = "/var/lib/kubelet", "lib/kubelet"

// serveCSI is the node's part of a CSI driver with the namespace's name. Its volume is a folder with a file of two lines: the volume's name and the Secret's token.
func serveCSI(t *testing.T, s *heldrun.Run) {
	t.Helper()
	outside := filepath.Join(clustertest.Getenv(t, "BRANE_TEST_CLUSTER"), kubeletOutside)
	socket := path.Join("plugins_registry", s.Namespace+".sock")
	answer := func(method string, request wire) (wire, error) {
		switch method {
		case "/pluginregistration.Registration/GetInfo":
			return wire{}.with(1, "CSIPlugin").with(2, s.Namespace).with(3, path.Join(kubelet, socket)).with(4, "1.0.0"), nil
		case "/csi.v1.Node/NodeGetInfo":
			return wire{}.with(1, "the-node"), nil
		case "/csi.v1.Node/NodePublishVolume":
			target := filepath.Join(outside, strings.TrimPrefix(request.text(4), kubelet))
			if err := os.Mkdir(target, 0o755); err != nil {
				return nil, err
			}
			token, volume := wire(request.text(7)).text(2), wire(request.text(8)).text(2) // the values of maps with one entry
			return nil, os.WriteFile(filepath.Join(target, "told"), fmt.Appendf(nil, "%s\n%s\n", volume, token), 0o644)
		case "/csi.v1.Node/NodeUnpublishVolume":
			return nil, os.RemoveAll(filepath.Join(outside, strings.TrimPrefix(request.text(2), kubelet)))
		}
		return nil, nil // it has no further capabilities, and no interest in how its registration went
	}
	server := grpc.NewServer(grpc.ForceServerCodec(asItIs{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		var request wire
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		response, err := answer(method, request)
		if err != nil {
			return err
		}
		return stream.SendMsg(&response)
	}))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(outside, socket))
	acctest.NoError(t, err)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
}

// wire is a message of protocol buffers as it is sent. The few fields that this driver has to do with are texts or messages, so it needs no more of CSI than
// their numbers.
type wire []byte

func (w wire) with(field protowire.Number, text string) wire {
	return protowire.AppendString(protowire.AppendTag(w, field, protowire.BytesType), text)
}

// text is the first field of this number.
func (w wire) text(field protowire.Number) string {
	for len(w) > 0 {
		number, kind, n := protowire.ConsumeTag(w)
		if n < 0 {
			return ""
		}
		w = w[n:]
		if number == field && kind == protowire.BytesType {
			text, _ := protowire.ConsumeString(w)
			return text
		}
		if n = protowire.ConsumeFieldValue(number, kind, w); n < 0 {
			return ""
		}
		w = w[n:]
	}
	return ""
}

// asItIs lets gRPC send and receive messages of the type [wire].
type asItIs struct{}

func (asItIs) Name() string { return "proto" }

func (asItIs) Marshal(message any) ([]byte, error) {
	w, ok := message.(*wire)
	if !ok {
		return nil, fmt.Errorf("%T is no message as it is sent", message)
	}
	return *w, nil
}

func (asItIs) Unmarshal(data []byte, message any) error {
	w, ok := message.(*wire)
	if !ok {
		return fmt.Errorf("%T is no message as it is sent", message)
	}
	*w = append(wire{}, data...)
	return nil
}

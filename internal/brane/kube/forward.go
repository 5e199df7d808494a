package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Forward is a port inside the cluster that is reached through the API server, without a local port.
type Forward struct {
	Namespace string
	Service   string // a Service, of which any ready pod is used,
	Pod       string // or a pod
	Port      int    // of the Service or of the pod
}

func (f Forward) String() string {
	if f.Service != "" {
		return fmt.Sprintf("port %d of Service %q in namespace %q", f.Port, f.Service, f.Namespace)
	}
	return fmt.Sprintf("port %d of Pod %q in namespace %q", f.Port, f.Pod, f.Namespace)
}

// DialForward opens a connection to the port. Each connection is a separate request to the API server, over WebSocket or, if the server or a proxy does not support
// that, over SPDY; so a pod that is replaced ends only its own connections.
func (c *Client) DialForward(ctx context.Context, to Forward) (net.Conn, error) {
	pod, port, err := c.findTarget(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	config, err := c.configWithCredential(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	dialed := make(chan dialedForward, 1)
	go func() {
		conn, err := c.dialPod(config, to.Namespace, pod, port)
		dialed <- dialedForward{conn, err}
	}()
	select {
	case d := <-dialed:
		if d.err != nil {
			return nil, fmt.Errorf("connect to %s: %w", to, d.err)
		}
		return d.conn, nil
	case <-ctx.Done():
		go func() { // client-go's dialers have no context
			if d := <-dialed; d.err == nil {
				_ = d.conn.Close() // it is not needed any more
			}
		}()
		return nil, fmt.Errorf("connect to %s: %w", to, context.Cause(ctx))
	}
}

type dialedForward struct {
	conn net.Conn
	err  error
}

// findTarget returns the pod behind a Forward, and its port.
func (c *Client) findTarget(ctx context.Context, to Forward) (pod string, port int, err error) {
	if to.Service == "" {
		return to.Pod, to.Port, nil
	}
	service := &corev1.Service{}
	service.Namespace, service.Name = to.Namespace, to.Service
	if err := c.Get(ctx, service); err != nil {
		return "", 0, err
	}
	if len(service.Spec.Selector) == 0 {
		return "", 0, errors.New("the Service selects no pods")
	}
	var pods corev1.PodList
	if err := c.List(ctx, &pods, to.Namespace, labels.FormatLabels(service.Spec.Selector)); err != nil {
		return "", 0, err
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.DeletionTimestamp == nil && isReady(p) {
			port, err := targetPort(service, p, to.Port)
			return p.Name, port, err
		}
	}
	return "", 0, fmt.Errorf("none of its %d pods is ready", len(pods.Items))
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// targetPort returns the pod's port behind a port of the Service.
func targetPort(service *corev1.Service, pod *corev1.Pod, port int) (int, error) {
	for _, p := range service.Spec.Ports {
		if int(p.Port) != port {
			continue
		}
		if p.TargetPort.Type == intstr.Int {
			if p.TargetPort.IntVal == 0 {
				return port, nil
			}
			return int(p.TargetPort.IntVal), nil
		}
		for _, container := range pod.Spec.Containers {
			for _, named := range container.Ports {
				if named.Name == p.TargetPort.StrVal {
					return int(named.ContainerPort), nil
				}
			}
		}
		return 0, fmt.Errorf("no container of Pod %q has a port named %q", pod.Name, p.TargetPort.StrVal)
	}
	return 0, fmt.Errorf("the Service has no port %d", port)
}

// dialPod asks the API server for a connection to a pod.
func (c *Client) dialPod(config *rest.Config, namespace, pod string, port int) (net.Conn, error) {
	r, err := c.newRequest(&corev1.Pod{}, "POST", namespace)
	if err != nil {
		return nil, err
	}
	url := r.Name(pod).SubResource("portforward").URL()
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	streams, _, err := portforward.NewFallbackDialerForStreaming(tunnel, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}).Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	conn, err := forwardOver(streams, port)
	if err != nil {
		_ = streams.Close() // it was never used
	}
	return conn, err
}

// forwardOver opens the two streams of a forwarded connection. It returns one end of a pipe, because a stream has no deadlines.
func forwardOver(streams httpstream.Connection, port int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failures, err := streams.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("open the stream of errors: %w", err)
	}
	_ = failures.Close() // the direction to the server, which is not used
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := streams.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("open the stream of data: %w", err)
	}
	near, far := net.Pipe()
	conn := &forwarded{Conn: near}
	go func() {
		// The server sends one message with the reason why the connection failed.
		if text, _ := io.ReadAll(io.LimitReader(failures, 4<<10)); len(text) > 0 {
			conn.setReason(strings.TrimSpace(string(text)))
			_ = data.Reset()
		}
	}()
	go func() {
		_, _ = io.Copy(data, far) // either end of the pipe ends both directions
		_ = data.Reset()
		_ = streams.Close()
	}()
	go func() {
		_, _ = io.Copy(far, data)
		_ = far.Close()
	}()
	return conn, nil
}

// forwarded is a connection through the API server.
type forwarded struct {
	net.Conn
	mu     sync.Mutex
	reason string
}

func (f *forwarded) setReason(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reason = reason
}

func (f *forwarded) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	return n, f.explain(err)
}

func (f *forwarded) Write(p []byte) (int, error) {
	n, err := f.Conn.Write(p)
	return n, f.explain(err)
}

// explain returns the reason that the server sent, if the connection failed, and otherwise the error.
func (f *forwarded) explain(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reason != "" {
		return errors.New(f.reason)
	}
	if errors.Is(err, io.ErrClosedPipe) { // users do not know of the pipe
		return errForwardClosed
	}
	return err
}

// errForwardClosed reports that a connection is used after its end.
var errForwardClosed = errors.New("the connection through the API server is closed")

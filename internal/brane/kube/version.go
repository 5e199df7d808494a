package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
	serverinfo "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
)

// minimumVersion is the oldest Kubernetes that `make test-kubernetes` tests.
var minimumVersion = version.MajorMinor(1, 30)

// versionTimeout limits the request for the version. Without an answer nothing is checked, and the requests that follow report what is wrong.
const versionTimeout = 5 * time.Second

// OldServerError reports that an API server has a version that is not supported.
type OldServerError struct {
	host    string
	version *version.Version
}

func (e *OldServerError) Error() string {
	return fmt.Sprintf("the API server at %s is Kubernetes %s, and Kubernetes %s or later is required", e.host, e.version, minimumVersion)
}

// Remedy returns what to do about it.
func (e *OldServerError) Remedy() string { return "Upgrade the cluster, or use another one." }

// ServerVersion returns the version of the API server. The server is asked once for each client.
func (c *Client) ServerVersion(ctx context.Context) (*version.Version, error) {
	text, err := c.Once("version", func() (string, error) {
		ctx, done := context.WithTimeout(ctx, versionTimeout)
		defer done()
		var info serverinfo.Info
		err := c.sendAndDecode(ctx, c.groups[corev1.SchemeGroupVersion].Get().AbsPath("/version"), func(response rest.Result) error {
			body, err := response.Raw()
			if err != nil {
				return err
			}
			return json.Unmarshal(body, &info)
		})
		if err == nil {
			_, err = version.ParseGeneric(info.GitVersion) // vendors append their own version
		}
		return info.GitVersion, err
	})
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", c.Host(), err)
	}
	return version.ParseGeneric(text)
}

// CheckVersion returns an [OldServerError] if the API server is known to be older than the minimum. A server or a proxy in front of it may not answer.
func (c *Client) CheckVersion(ctx context.Context) error {
	found, err := c.ServerVersion(ctx)
	if err != nil || found.AtLeast(minimumVersion) {
		return nil //nolint:nilerr // the requests that follow report what is wrong
	}
	return &OldServerError{c.Host(), found}
}

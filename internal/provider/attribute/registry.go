package attribute

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// RegistryHosts validates the keys of image pull credentials. Kubelets compare them to the names of images
// (kubernetes/pkg/credentialprovider/keyring.go), and ignore a key that they cannot read.
func RegistryHosts() validator.Map { return registryHosts{} }

type registryHosts struct{}

func (registryHosts) Description(context.Context) string {
	return "keys must be registries, as host[:port]"
}
func (v registryHosts) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (registryHosts) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for _, key := range slices.Sorted(maps.Keys(req.ConfigValue.Elements())) {
		at := req.Path.AtMapKey(key)
		if strings.Contains(key, "@") {
			at = req.Path // the key may contain a password
		}
		if problems := registryProblems(key); len(problems) > 0 {
			resp.Diagnostics.AddAttributeError(at, "Invalid registry", fmt.Sprintf("%s: %s.", at, strings.Join(problems, "; ")))
		}
	}
}

// hostLabel matches one part of a host name. Kubelets accept the patterns * and ? in it.
var hostLabel = regexp.MustCompile(`^[A-Za-z0-9*?]([A-Za-z0-9_*?-]*[A-Za-z0-9*?])?$`)

// dockerHub contains names of Docker Hub that are in no image reference, so that credentials for them are never used.
var dockerHub = map[string]bool{"registry-1.docker.io": true, "hub.docker.com": true, "registry.hub.docker.com": true, "auth.docker.io": true}

// registryProblems returns the problems of a registry, without its text, which may contain a password.
func registryProblems(text string) []string {
	const form = "write the host and port as in the names of images, for example registry.example.org:5000"
	rest := strings.TrimPrefix(strings.TrimPrefix(text, "https://"), "http://")
	host, path, _ := strings.Cut(rest, "/")
	switch {
	case strings.Contains(rest, "://"):
		return []string{"it has a scheme; " + form}
	case strings.Contains(host, "@"):
		return []string{"a key contains a user or a digest; set username and password_wo, and " + form}
	case strings.ContainsAny(rest, " \t\r\n\\\"'"):
		return []string{"it contains white space or quotes; " + form}
	}
	name, port, hasPort := cutPort(host)
	if number, err := strconv.ParseUint(port, 10, 16); hasPort && (err != nil || number == 0) {
		return []string{"the port must be a number from 1 to 65535; " + form}
	}
	if _, err := url.Parse("https://" + rest); err != nil || strings.ContainsAny(path, "?#%@:") {
		return []string{form}
	}
	if strings.HasPrefix(name, "[") {
		address, err := netip.ParseAddr(strings.Trim(name, "[]"))
		switch {
		case err != nil || !address.Is6() || address.Zone() != "":
			return []string{form}
		case !hasPort:
			return []string{"an IPv6 address needs its port, for example [2001:db8::1]:443"}
		}
		return nil
	}
	for _, label := range strings.Split(name, ".") {
		if !hostLabel.MatchString(label) {
			return []string{form}
		}
	}
	switch {
	case dockerHub[strings.ToLower(name)]:
		return []string{"images of Docker Hub are not named like this; write docker.io"}
	case !strings.Contains(name, ".") && !hasPort && name != "localhost":
		return []string{"in the name of an image this is no registry, because it has neither a dot nor a port; " + form}
	}
	return nil
}

// cutPort splits host:port.
func cutPort(host string) (name, port string, found bool) {
	at := strings.LastIndex(host, ":")
	if at < 0 || strings.HasSuffix(host, "]") {
		return host, "", false
	}
	return host[:at], host[at+1:], true
}

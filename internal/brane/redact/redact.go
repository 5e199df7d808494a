// Package redact removes what may be a password from values that a message repeats. It knows no kind of value but URLs, also those that cannot be parsed.
package redact

import (
	"regexp"
	"strings"
)

// hidden replaces what is removed.
const hidden = "…"

// digest is what follows the "@" of an image reference.
var digest = regexp.MustCompile(`^[a-z0-9+._-]+:[0-9a-f]{32,}$`)

// HideUserInfo returns a value without its user information and query if it may be a URL or an address with a user. A password can contain any character, so
// everything before the last "@" is removed, and everything else that cannot be part of an address with a port.
func HideUserInfo(value string) string {
	scheme, rest, hasScheme := strings.Cut(value, "://")
	if hasScheme {
		scheme += "://"
	} else {
		scheme, rest = "", value
	}
	at := strings.LastIndexByte(rest, '@')
	switch {
	case at >= 0 && !hasScheme && (digest.MatchString(rest[at+1:]) || !strings.Contains(rest[:at], ":")):
		return value // an image with a digest, or a user without a password
	case at >= 0:
		rest = hidden + rest[at:]
	case hasScheme && hasPassword(rest):
		return scheme + hidden
	}
	if question := strings.IndexByte(rest, '?'); hasScheme && question >= 0 {
		rest = rest[:question+1] + hidden
	}
	return scheme + rest
}

// hasPassword reports whether a URL without "@" has something other than a port behind a colon: a user and password whose host is missing.
func hasPassword(rest string) bool {
	if strings.HasPrefix(rest, "[") { // an IPv6 address
		return false
	}
	_, port, found := strings.Cut(rest, ":")
	port, _, _ = strings.Cut(port, "/")
	return found && strings.Trim(port, "0123456789") != ""
}

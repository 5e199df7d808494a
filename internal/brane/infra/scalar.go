package infra

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// scalarText returns a scalar as Brane reads it if any scalar is accepted, as for a key or a secret. Its parser reads an empty plain scalar as "~".
func scalarText(n *yaml.Node) string {
	n = resolveAlias(n)
	if n.Value == "" && n.Style&^yaml.TaggedStyle == 0 {
		return "~"
	}
	return n.Value
}

// typeOf returns the type that Brane's parser (serde_yaml 0.8) gives a scalar: "string", "integer", "float", "boolean" or "null".
// It differs from Go's parser: 1_000, 2001-01-01 and numbers with leading zeros are strings.
func typeOf(n *yaml.Node) string {
	if n.Style&yaml.TaggedStyle != 0 {
		switch n.Tag {
		case "!!bool":
			return "boolean"
		case "!!int":
			return "integer"
		case "!!float":
			return "float"
		case "!!null":
			return "null"
		}
		return "string"
	}
	if n.Style != 0 {
		return "string"
	}
	return plainType(scalarText(n))
}

// plainType is typeOf for a plain scalar.
func plainType(v string) string {
	switch v {
	case "~", "null":
		return "null"
	case "true", "false":
		return "boolean"
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN":
		return "float"
	}
	unsigned := strings.TrimLeft(v, "+-")
	if len(v)-len(unsigned) > 1 {
		return "string"
	}
	for prefix, base := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if digits, ok := strings.CutPrefix(unsigned, prefix); ok {
			if _, err := strconv.ParseUint(digits, base, 64); err == nil {
				return "integer"
			}
		}
	}
	if strings.Trim(unsigned, "0123456789") == "" {
		if unsigned == "" || len(unsigned) > 1 && unsigned[0] == '0' {
			return "string"
		}
		return "integer"
	}
	if decimal.MatchString(unsigned) {
		return "float"
	}
	return "string"
}

var (
	decimal     = regexp.MustCompile(`^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	sexagesimal = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)
	numberLike  = regexp.MustCompile(`^[-+.]?[0-9][0-9A-Fa-fxob_.+-]*$`) // also 1_000, 0b1 and 2001-01-01, which YAML 1.1 readers convert
	safePlain   = regexp.MustCompile(`^[A-Za-z0-9./+_$][A-Za-z0-9./+_$:@=~-]*$`)
)

// isPlain reports whether every YAML reader takes a string for a string if it is written without quotes.
func isPlain(v string) bool {
	switch strings.ToLower(v) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "":
		return false
	}
	return safePlain.MatchString(v) && !strings.HasSuffix(v, ":") && plainType(v) == "string" && !sexagesimal.MatchString(v) && !numberLike.MatchString(v)
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tagged returns the parts of {"v": kind, "c": content}.
func tagged(value any) (kind string, content any) {
	object, _ := value.(map[string]any)
	kind, _ = object["v"].(string)
	return kind, object["c"]
}

// typeOf returns the name of an argument's type.
func (b imitation) typeOf(value any) string {
	if b.isPlain() {
		return plainType(value)
	}
	kind, content := tagged(value)
	switch kind {
	case "unicode":
		return "string"
	case "array", "struct":
		object, _ := content.(map[string]any)
		name, _ := object["type"].(string)
		return name
	}
	return kind
}

func plainType(value any) string {
	switch value := value.(type) {
	case nil:
		return "unit"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if strings.ContainsAny(value.String(), ".eE") {
			return "real"
		}
		return "integer"
	case []any:
		if len(value) == 2 {
			if name, ok := value[0].(string); ok {
				if _, ok := value[1].(map[string]any); ok {
					return name
				}
			}
		}
		if len(value) == 0 {
			return "any[]"
		}
		return plainType(value[0]) + "[]"
	}
	return "?"
}

// environment returns the environment variables in which the program receives the arguments.
func (b imitation) environment(arguments map[string]any) ([]string, error) {
	var env []string
	add := func(name, text string) { env = append(env, name+"="+text) }
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		upper := strings.ToUpper(name)
		if b.isPlain() {
			text, err := json.Marshal(arguments[name])
			if err != nil {
				return nil, err
			}
			add(upper, string(text))
			continue
		}
		kind, content := tagged(arguments[name])
		object, _ := content.(map[string]any)
		switch kind {
		case "array":
			entries, _ := object["entries"].([]any)
			add(upper, strconv.Itoa(len(entries)))
			for i, entry := range entries {
				if err := b.addOne(add, fmt.Sprintf("%s_%d", upper, i), entry); err != nil {
					return nil, err
				}
			}
		default:
			if err := b.addOne(add, upper, arguments[name]); err != nil {
				return nil, err
			}
		}
	}
	return env, nil
}

func (b imitation) addOne(add func(name, text string), name string, value any) error {
	kind, content := tagged(value)
	switch kind {
	case "boolean", "integer", "real", "unicode":
		add(name, fmt.Sprint(content))
		return nil
	case "struct":
		object, _ := content.(map[string]any)
		properties, _ := object["properties"].(map[string]any)
		for key, property := range properties {
			if b.isEarly() {
				key = strings.ToUpper(key)
			}
			kind, content := tagged(property)
			switch kind {
			case "boolean", "integer", "real", "unicode":
				add(name+"_"+key, fmt.Sprint(content))
			case "struct":
				inner, _ := content.(map[string]any)
				place, _ := inner["properties"].(map[string]any)
				_, url := tagged(place["url"])
				add(name+"_"+key+"_URL", fmt.Sprint(url))
			default:
				return fmt.Errorf("unsupported field %q of kind %q", key, kind)
			}
		}
		return nil
	}
	return fmt.Errorf("unsupported argument of kind %q", kind)
}

// result converts the captured output, which must be a YAML mapping, to a value.
func (b imitation) result(captured string, outputs []parameter, c container) ([]byte, error) {
	var document yaml.Node
	err := yaml.Unmarshal([]byte(captured), &document)
	switch {
	case err != nil && b.isEarly():
		return nil, panicked{"called `Result::unwrap()` on an `Err` value: " + err.Error()}
	case err != nil:
		return nil, fmt.Errorf("failed to decode output from function: %w", err)
	}
	if len(document.Content) == 0 {
		if b.isPlain() {
			return b.nothing(), nil
		}
		return nil, panicked{"index out of bounds: the len is 0 but the index is 0"}
	}
	mapping := document.Content[0]
	if mapping.Kind != yaml.MappingNode {
		return nil, b.mismatch("the output is no mapping")
	}
	if b.isPlain() {
		switch len(mapping.Content) {
		case 0:
			return b.nothing(), nil
		case 2:
			value, err := plainOf(mapping.Content[1])
			if err != nil {
				return nil, err
			}
			return json.Marshal(value)
		}
		return nil, errors.New("multiple outputs are not supported")
	}
	if len(outputs) == 0 {
		return b.nothing(), nil
	}
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == outputs[0].Name {
			value, err := b.typed(mapping.Content[i+1], outputs[0].Type, c)
			if err != nil {
				return nil, err
			}
			return json.Marshal(value)
		}
	}
	return nil, b.mismatch("missing output argument " + outputs[0].Name)
}

func (b imitation) mismatch(why string) error {
	if b.isEarly() {
		return panicked{why}
	}
	return errors.New(why)
}

// value returns a value as 0.4 to 0.6 write it.
func value(kind string, content any) map[string]any { return map[string]any{"v": kind, "c": content} }

// typed converts a node to a value of the declared type, without conversions between types.
func (b imitation) typed(node *yaml.Node, name string, c container) (any, error) {
	if inner, isArray := strings.CutSuffix(name, "[]"); isArray && node.Kind == yaml.SequenceNode {
		entries := []any{}
		for _, child := range node.Content {
			entry, err := b.typed(child, inner, c)
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry)
		}
		return value("array", map[string]any{"type": name, "entries": entries}), nil
	}
	kind, tag := name, map[string]string{"boolean": "!!bool", "integer": "!!int", "real": "!!float"}[name]
	if tag == "" {
		kind, tag = "unicode", "!!str"
	}
	if node.Kind == yaml.MappingNode {
		properties := map[string]any{}
		for _, p := range c.Types[name].Properties {
			for i := 0; i < len(node.Content); i += 2 {
				if node.Content[i].Value == p.Name {
					property, err := b.typed(node.Content[i+1], p.Type, c)
					if err != nil {
						return nil, err
					}
					properties[p.Name] = property
				}
			}
		}
		return value("struct", map[string]any{"type": name, "properties": properties}), nil
	}
	if node.Tag != tag {
		return nil, b.mismatch(fmt.Sprintf("expected %s, got %s", name, node.Tag))
	}
	switch name {
	case "File", "Directory":
		return value("struct", map[string]any{"type": name, "properties": map[string]any{"url": value("unicode", node.Value)}}), nil
	}
	if kind == "unicode" {
		return value(kind, node.Value), nil
	}
	var content json.RawMessage
	if err := json.Unmarshal([]byte(node.Value), &content); err != nil {
		return nil, b.mismatch("no JSON: " + node.Value)
	}
	return value(kind, content), nil
}

// plainOf converts a node to JSON, as Brane 1 and newer do.
func plainOf(node *yaml.Node) (any, error) {
	switch {
	case node.Kind == yaml.SequenceNode:
		list := []any{}
		for _, child := range node.Content {
			entry, err := plainOf(child)
			if err != nil {
				return nil, err
			}
			list = append(list, entry)
		}
		return list, nil
	case node.Kind == yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			entry, err := plainOf(node.Content[i+1])
			if err != nil {
				return nil, err
			}
			object[node.Content[i].Value] = entry
		}
		return object, nil
	case node.Tag == "!!str":
		return node.Value, nil
	}
	var content json.RawMessage
	if err := json.Unmarshal([]byte(node.Value), &content); err != nil {
		return nil, fmt.Errorf("no JSON: %s", node.Value)
	}
	return content, nil
}

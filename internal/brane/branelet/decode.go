package branelet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is the maximum depth of a value, as in Brane's own parser.
const maxDepth = 128

var errDepth = fmt.Errorf("it has more levels than %d", maxDepth)

// Decode decodes the JSON of one value, as strictly as Brane does.
func (v Version) Decode(text []byte) (Value, error) {
	parsed, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read a value of Brane %s: %w", v, err)
	}
	value, err := v.toValue(parsed, 0)
	if err != nil {
		return nil, fmt.Errorf("read a value of Brane %s: %w", v, err)
	}
	return value, nil
}

// parseJSON parses one JSON document and keeps numbers as they are written.
func parseJSON(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("invalid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var parsed any
	if err := decoder.Decode(&parsed); err != nil {
		return nil, hideContent(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("unexpected data after the value")
	}
	return parsed, nil
}

// hideContent returns an error of the JSON parser without the text that it quotes: a value may be confidential.
func hideContent(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("invalid JSON at byte %d", syntax.Offset)
	}
	return errors.New("invalid JSON")
}

func (v Version) toValue(parsed any, depth int) (Value, error) {
	switch {
	case depth > maxDepth:
		return nil, errDepth
	case v.isTagged():
		return v.fromTagged(parsed, depth)
	}
	return v.fromPlain(parsed, depth)
}

// The kinds of tagged values.
const (
	kindBoolean = "boolean"
	kindInteger = "integer"
	kindReal    = "real"
	kindUnicode = "unicode"
	kindUnit    = "unit"
	kindArray   = "array"
	kindStruct  = "struct"
)

// fromTagged decodes {"v": kind, "c": content}. Unknown keys are ignored.
func (v Version) fromTagged(parsed any, depth int) (Value, error) {
	object, ok := parsed.(map[string]any)
	if !ok {
		return nil, errors.New(`a value must be an object with "v" and "c"`)
	}
	kind, ok := object["v"].(string)
	if !ok {
		return nil, errors.New(`a value has no "v" (its kind)`)
	}
	content, found := object["c"]
	if kind == kindUnit {
		if content != nil {
			return nil, errors.New("a unit must not have content")
		}
		return Unit{}, nil
	}
	if !found {
		return nil, fmt.Errorf(`a value of kind %q has no "c" (its content)`, kind)
	}
	switch kind {
	case kindBoolean:
		if truth, ok := content.(bool); ok {
			return Boolean(truth), nil
		}
	case kindInteger:
		if number, ok := content.(json.Number); ok {
			return toInteger(number)
		}
	case kindReal:
		if number, ok := content.(json.Number); ok {
			return toReal(number)
		}
	case kindUnicode:
		if text, ok := content.(string); ok {
			return String(text), nil
		}
	case kindArray:
		return v.fromTaggedArray(content, depth)
	case kindStruct:
		return v.fromTaggedStruct(content, depth)
	case "pointer", "class", "function", "functionExt":
		return nil, fmt.Errorf("a value of kind %q cannot be used outside of Brane", kind)
	default:
		return nil, fmt.Errorf("unknown kind %q", kind)
	}
	return nil, fmt.Errorf("the content of a value of kind %q has the wrong type", kind)
}

func (v Version) fromTaggedArray(content any, depth int) (Value, error) {
	object, _ := content.(map[string]any)
	name, named := object["type"].(string)
	list, listed := object["entries"].([]any)
	of, isArray := strings.CutSuffix(name, arraySuffix)
	if !named || !listed || !isArray {
		return nil, errors.New(`an array has no "type" that ends in [], or no "entries"`)
	}
	entries, err := v.toValues(list, depth)
	if err != nil {
		return nil, err
	}
	return Array{Of: of, Entries: entries}, nil
}

func (v Version) fromTaggedStruct(content any, depth int) (Value, error) {
	object, _ := content.(map[string]any)
	name, named := object["type"].(string)
	properties, found := object["properties"].(map[string]any)
	if !named || !found {
		return nil, errors.New(`a struct has no "type" or no "properties"`)
	}
	return v.toStruct(name, properties, depth)
}

// fromPlain decodes plain JSON. A list of a name and an object is an instance of a class; other objects are errors.
func (v Version) fromPlain(parsed any, depth int) (Value, error) {
	switch parsed := parsed.(type) {
	case nil:
		return Unit{}, nil
	case bool:
		return Boolean(parsed), nil
	case json.Number:
		if number, err := toInteger(parsed); err == nil {
			return number, nil
		}
		return toReal(parsed)
	case string:
		if name, ok := cutReference(parsed, DataType); ok {
			return Data(name), nil
		}
		if name, ok := cutReference(parsed, IntermediateResultType); ok {
			return IntermediateResult(name), nil
		}
		return String(parsed), nil
	case []any:
		if name, properties, ok := toClassAndProperties(parsed); ok {
			return v.toStruct(name, properties, depth)
		}
		entries, err := v.toValues(parsed, depth)
		if err != nil {
			return nil, err
		}
		of := AnyType
		if len(entries) > 0 {
			of = entries[0].Type()
		}
		return Array{Of: of, Entries: entries}, nil
	}
	return nil, errors.New("an object is not a value")
}

func toClassAndProperties(list []any) (name string, properties map[string]any, ok bool) {
	if len(list) != 2 {
		return "", nil, false
	}
	name, isName := list[0].(string)
	properties, isObject := list[1].(map[string]any)
	return name, properties, isName && isObject
}

// cutReference returns NAME of "Data<NAME>".
func cutReference(text, of string) (string, bool) {
	inner, ok := strings.CutPrefix(text, of+"<")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, ">")
}

func (v Version) toValues(list []any, depth int) ([]Value, error) {
	values := make([]Value, len(list))
	for i, parsed := range list {
		value, err := v.toValue(parsed, depth+1)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		values[i] = value
	}
	return values, nil
}

func (v Version) toStruct(class string, parsed map[string]any, depth int) (Value, error) {
	properties := make(map[string]Value, len(parsed))
	for name, parsed := range parsed {
		value, err := v.toValue(parsed, depth+1)
		if err != nil {
			return nil, fmt.Errorf("property %q of a %s: %w", name, class, err)
		}
		properties[name] = value
	}
	return Struct{Class: class, Properties: properties}, nil
}

// toInteger accepts numbers of 64 bits that are written as integers: not 3.0.
func toInteger(number json.Number) (Value, error) {
	whole, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil {
		return nil, errors.New("an integer must be a whole number of 64 bits")
	}
	return Integer(whole), nil
}

func toReal(number json.Number) (Value, error) {
	fraction, err := strconv.ParseFloat(number.String(), 64)
	if err != nil {
		return nil, errors.New("a real does not fit into 64 bits")
	}
	return Real(fraction), nil
}

package branelet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Encode encodes one value as JSON. The same value always has the same encoding.
func (v Version) Encode(value Value) ([]byte, error) {
	text, err := v.appendValue(nil, value, 0)
	if err != nil {
		return nil, fmt.Errorf("write a value for Brane %s: %w", v, err)
	}
	return text, nil
}

func (v Version) appendValue(to []byte, value Value, depth int) ([]byte, error) {
	switch {
	case depth > maxDepth:
		return nil, errDepth
	case v.isTagged():
		return v.appendTagged(to, value, depth)
	}
	return v.appendPlain(to, value, depth)
}

func (v Version) appendTagged(to []byte, value Value, depth int) ([]byte, error) {
	kind, err := kindOf(value)
	if err != nil {
		return nil, err
	}
	to = append(to, `{"v":"`+kind+`"`...)
	if _, isUnit := value.(Unit); isUnit {
		return append(to, '}'), nil
	}
	to = append(to, `,"c":`...)
	switch value := value.(type) {
	case Array:
		to = append(to, `{"type":`...)
		if to, err = appendString(to, value.Type()); err == nil {
			to = append(to, `,"entries":`...)
			to, err = v.appendEntries(to, value.Entries, depth)
		}
		to = append(to, '}')
	case Struct:
		to = append(to, `{"type":`...)
		if to, err = appendString(to, value.Class); err == nil {
			to = append(to, `,"properties":`...)
			to, err = v.appendProperties(to, value.Properties, depth)
		}
		to = append(to, '}')
	default:
		to, err = appendScalar(to, value)
	}
	return append(to, '}'), err
}

// kindOf returns the kind of a value.
func kindOf(value Value) (string, error) {
	switch value := value.(type) {
	case Boolean:
		return kindBoolean, nil
	case Integer:
		return kindInteger, nil
	case Real:
		return kindReal, nil
	case String:
		return kindUnicode, nil
	case Unit:
		return kindUnit, nil
	case Array:
		return kindArray, nil
	case Struct:
		return kindStruct, nil
	case nil:
		return "", errors.New("missing value")
	default:
		return "", fmt.Errorf("unsupported type %s", value.Type())
	}
}

func (v Version) appendPlain(to []byte, value Value, depth int) ([]byte, error) {
	var err error
	switch value := value.(type) {
	case nil:
		return nil, errors.New("missing value")
	case Unit:
		return append(to, "null"...), nil
	case Array:
		return v.appendEntries(to, value.Entries, depth)
	case Struct:
		to = append(to, '[')
		if to, err = appendString(to, value.Class); err == nil {
			to = append(to, ',')
			to, err = v.appendProperties(to, value.Properties, depth)
		}
		return append(to, ']'), err
	}
	return appendScalar(to, value)
}

func (v Version) appendEntries(to []byte, entries []Value, depth int) ([]byte, error) {
	to = append(to, '[')
	var err error
	for i, entry := range entries {
		if i > 0 {
			to = append(to, ',')
		}
		if to, err = v.appendValue(to, entry, depth+1); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return append(to, ']'), nil
}

func (v Version) appendProperties(to []byte, properties map[string]Value, depth int) ([]byte, error) {
	to = append(to, '{')
	var err error
	for i, name := range slices.Sorted(maps.Keys(properties)) {
		if i > 0 {
			to = append(to, ',')
		}
		if to, err = appendString(to, name); err != nil {
			return nil, err
		}
		to = append(to, ':')
		if to, err = v.appendValue(to, properties[name], depth+1); err != nil {
			return nil, fmt.Errorf("property %q: %w", name, err)
		}
	}
	return append(to, '}'), nil
}

func appendScalar(to []byte, value Value) ([]byte, error) {
	switch value := value.(type) {
	case Boolean:
		return strconv.AppendBool(to, bool(value)), nil
	case Integer:
		return strconv.AppendInt(to, int64(value), 10), nil
	case Real:
		return appendReal(to, float64(value))
	case String:
		return appendString(to, string(value))
	case Data:
		return appendString(to, DataType+"<"+string(value)+">")
	case IntermediateResult:
		return appendString(to, IntermediateResultType+"<"+string(value)+">")
	}
	return nil, fmt.Errorf("%s is not a scalar type", value.Type())
}

// appendReal writes the shortest text that is read as the same number and not as an integer.
func appendReal(to []byte, value float64) ([]byte, error) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil, errors.New("a real must be finite")
	}
	text := strconv.FormatFloat(value, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return append(to, text...), nil
}

// appendString does not escape <, > and &, which the JSON package does by default.
func appendString(to []byte, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("a string is not valid UTF-8")
	}
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		return nil, err
	}
	return append(to, bytes.TrimSuffix(written.Bytes(), []byte("\n"))...), nil
}

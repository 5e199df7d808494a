package branelet

import (
	"maps"
	"slices"
)

// JSON encodes a value for programs that know nothing of Brane: a struct is an object of its properties, a file or directory of the run is its path below
// [DataDirectory]. Integers have all their digits, and reals never look like integers.
func JSON(value Value) ([]byte, error) { return appendReadable(nil, value) }

func appendReadable(to []byte, value Value) (_ []byte, err error) {
	switch value := value.(type) {
	case Array:
		to = append(to, '[')
		for i, entry := range value.Entries {
			if i > 0 {
				to = append(to, ',')
			}
			if to, err = appendReadable(to, entry); err != nil {
				return nil, err
			}
		}
		return append(to, ']'), nil
	case Struct:
		if path, ok := value.Path(); ok {
			return appendString(to, path)
		}
		to = append(to, '{')
		for i, name := range slices.Sorted(maps.Keys(value.Properties)) {
			if i > 0 {
				to = append(to, ',')
			}
			if to, err = appendString(to, name); err != nil {
				return nil, err
			}
			if to, err = appendReadable(append(to, ':'), value.Properties[name]); err != nil {
				return nil, err
			}
		}
		return append(to, '}'), nil
	case Data:
		return appendString(to, string(value))
	case IntermediateResult:
		return appendString(to, string(value))
	default:
		return V4.appendValue(to, value, 0)
	}
}

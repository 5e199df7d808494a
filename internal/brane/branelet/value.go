package branelet

import "strings"

// Value is a value of Brane: a [Boolean], [Integer], [Real], [String], [Unit], [Array], [Struct], [Data] or [IntermediateResult].
// Brane's own classes, functions and pointers are never arguments or results of a package.
type Value interface {
	// Type returns Brane's name of the type, for example "integer[]" or "File".
	Type() string
	isValue()
}

type (
	// Boolean is true or false.
	Boolean bool
	// Integer has 64 bits.
	Integer int64
	// Real has 64 bits and is finite.
	Real float64
	// String is UTF-8.
	String string
	// Unit is the result of a function that returns nothing.
	Unit struct{}
	// Data names a dataset of Brane 1 and newer.
	Data string
	// IntermediateResult names an intermediate result of a task of Brane 1 and newer.
	IntermediateResult string
)

// Array is a list of values of one type.
type Array struct {
	Of      string // type of the entries; not written by Brane 1 and newer, so it is [AnyType] for an empty list
	Entries []Value
}

// Struct is an instance of a class that Brane or a package defines.
type Struct struct {
	Class      string
	Properties map[string]Value
}

// Names of types.
const (
	BooleanType            = "boolean"
	IntegerType            = "integer"
	RealType               = "real"
	StringType             = "string"
	UnitType               = "unit"
	FileType               = "File"
	DirectoryType          = "Directory"
	DataType               = "Data"
	IntermediateResultType = "IntermediateResult"
	AnyType                = "any" // an unknown type, in Brane 1 and newer
)

// Type returns "boolean".
func (Boolean) Type() string { return BooleanType }

// Type returns "integer".
func (Integer) Type() string { return IntegerType }

// Type returns "real".
func (Real) Type() string { return RealType }

// Type returns "string".
func (String) Type() string { return StringType }

// Type returns "unit".
func (Unit) Type() string { return UnitType }

// Type returns the type of the entries, followed by "[]".
func (a Array) Type() string { return a.Of + arraySuffix }

// Type returns the name of the class.
func (s Struct) Type() string { return s.Class }

// Type returns "Data".
func (Data) Type() string { return DataType }

// Type returns "IntermediateResult".
func (IntermediateResult) Type() string { return IntermediateResultType }

func (Boolean) isValue()            {}
func (Integer) isValue()            {}
func (Real) isValue()               {}
func (String) isValue()             {}
func (Unit) isValue()               {}
func (Array) isValue()              {}
func (Struct) isValue()             {}
func (Data) isValue()               {}
func (IntermediateResult) isValue() {}

const arraySuffix = "[]"

// DataDirectory is the directory in which Brane keeps all files, and a step has the files of its run.
const DataDirectory = "/data"

const urlProperty = "url"

// File returns the value for a file of the run, given its path below [DataDirectory]. In Brane 1 and newer, which have no such type, it is a string.
func (v Version) File(path string) Value { return v.newPath(FileType, path) }

// Directory returns the value for a directory of the run, as [Version.File] does for a file.
func (v Version) Directory(path string) Value { return v.newPath(DirectoryType, path) }

func (v Version) newPath(class, path string) Value {
	url := String(DataDirectory + "/" + path)
	if !v.isTagged() {
		return url
	}
	return Struct{Class: class, Properties: map[string]Value{urlProperty: url}}
}

// Path returns the path below [DataDirectory] of the file or directory that a value names. It is false for other values and paths.
func (s Struct) Path() (string, bool) {
	if s.Class != FileType && s.Class != DirectoryType {
		return "", false
	}
	url, ok := s.Properties[urlProperty].(String)
	if !ok {
		return "", false
	}
	path, below := strings.CutPrefix(strings.TrimPrefix(string(url), "file://"), DataDirectory+"/")
	if !below {
		return "", false
	}
	return path, true
}

// For converts a value from a package of any version for packages of this version: files become strings for Brane 1 and newer.
func (v Version) For(value Value) Value {
	switch value := value.(type) {
	case Array:
		entries := make([]Value, len(value.Entries))
		for i, entry := range value.Entries {
			entries[i] = v.For(entry)
		}
		if len(entries) > 0 {
			return Array{Of: entries[0].Type(), Entries: entries}
		}
		return Array{Of: value.Of, Entries: entries}
	case Struct:
		if path, ok := value.Path(); ok && !v.isTagged() {
			return String(DataDirectory + "/" + path)
		}
		properties := make(map[string]Value, len(value.Properties))
		for name, property := range value.Properties {
			properties[name] = v.For(property)
		}
		return Struct{Class: value.Class, Properties: properties}
	case IntermediateResult:
		return String(DataDirectory + "/" + string(value)) // as brane-job passes it
	case Data:
		return String(DataDirectory + "/" + string(value))
	}
	return value
}

// Accepts reports whether branelet accepts an argument of one type for a parameter of another. It does not check types that begin with "mount".
func (v Version) Accepts(parameter, argument string) bool {
	if v.isTagged() {
		return strings.HasPrefix(parameter, "mount") || parameter == argument
	}
	parameter, argument = canonicalType(parameter), canonicalType(argument)
	if p, isArray := strings.CutSuffix(parameter, arraySuffix); isArray {
		if a, isArray := strings.CutSuffix(argument, arraySuffix); isArray {
			return v.Accepts(p, a)
		}
	}
	switch {
	case parameter == DataType, parameter == IntermediateResultType:
		return argument == StringType || argument == AnyType
	case argument == AnyType:
		return true
	}
	return parameter == argument
}

// canonicalType returns one name for a type of Brane 1 and newer, which have several names for some types.
func canonicalType(name string) string {
	if inner, ok := strings.CutSuffix(name, arraySuffix); ok {
		return canonicalType(inner) + arraySuffix
	}
	if len(name) > 1 && name[0] == '[' && name[len(name)-1] == ']' {
		return canonicalType(name[1:len(name)-1]) + arraySuffix
	}
	switch name {
	case "bool":
		return BooleanType
	case "int":
		return IntegerType
	case "float":
		return RealType
	}
	return name
}

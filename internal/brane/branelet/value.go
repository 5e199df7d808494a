package branelet

import "strings"

// Value is a value of Brane: a [Boolean], [Integer], [Real], [String], [Unit], [Array], [Struct], [Data] or [IntermediateResult].
// Brane's own classes, functions and pointers are never arguments or results of a package.
type Value interface {
	// Type is Brane's name of the value's type, for example "integer[]" or "File".
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
	// Unit is what a function returns that returns nothing.
	Unit struct{}
	// Data names a dataset of Brane 1 and newer.
	Data string
	// IntermediateResult names what a task of Brane 1 and newer has left.
	IntermediateResult string
)

// Array is a list of values of one type.
type Array struct {
	Of      string // their type; Brane 1 and newer do not write it, so that of an empty list is then [AnyType]
	Entries []Value
}

// Struct is an instance of a class, of Brane's own or of a package's.
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
	AnyType                = "any" // of which Brane 1 and newer know no more
)

// Type is "boolean".
func (Boolean) Type() string { return BooleanType }

// Type is "integer".
func (Integer) Type() string { return IntegerType }

// Type is "real".
func (Real) Type() string { return RealType }

// Type is "string".
func (String) Type() string { return StringType }

// Type is "unit".
func (Unit) Type() string { return UnitType }

// Type is that of the entries, followed by "[]".
func (a Array) Type() string { return a.Of + arraySuffix }

// Type is the name of the class.
func (s Struct) Type() string { return s.Class }

// Type is "Data".
func (Data) Type() string { return DataType }

// Type is "IntermediateResult".
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

// DataDirectory is where Brane has all files, and where a step has those of its run.
const DataDirectory = "/data"

const urlProperty = "url"

// File is a value for a file of the run, by its path below [DataDirectory]. Brane 1 and newer have no such type; their packages take the path as a string.
func (v Version) File(path string) Value { return v.newPath(FileType, path) }

// Directory is a value for a folder of the run, as [Version.File] is for a file.
func (v Version) Directory(path string) Value { return v.newPath(DirectoryType, path) }

func (v Version) newPath(class, path string) Value {
	url := String(DataDirectory + "/" + path)
	if !v.isTagged() {
		return url
	}
	return Struct{Class: class, Properties: map[string]Value{urlProperty: url}}
}

// Path is where below [DataDirectory] the file or folder is that a value names; false where it is none, or elsewhere.
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

// For is the value as this version's packages take it, where it comes from a package of any version: files become strings for Brane 1 and newer.
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
		return String(DataDirectory + "/" + string(value)) // as brane-job puts it in its place
	case Data:
		return String(DataDirectory + "/" + string(value))
	}
	return value
}

// Accepts says whether branelet takes a value of one type for a parameter of another. Types whose names begin with "mount" are not looked at.
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

// canonical is the name of a type of Brane 1 and newer, which know several for some.
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

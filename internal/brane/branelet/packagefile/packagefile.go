// Package packagefile reads the functions of a Brane package from its files: container.yml, which its author writes, local_container.yml in its image, and
// package.yml, which Brane generates from container.yml.
//
// It reads them as Brane does, and only checks what a call depends on. It knows nothing of Kubernetes and Terraform. It is not part of package branelet,
// because the agent is linked with that and needs no YAML.
package packagefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxSize is the maximum size of a file; Brane's own have a few kilobytes.
const MaxSize = 1 << 20

// Package is a package as its file describes it.
type Package struct {
	Name        string
	Version     string // empty in a local_container.yml
	Kind        string // ecu, oas, dsl or cwl; any word in files of Brane 0.4
	Owners      []string
	Description string
	Detached    bool // its functions are services: a call returns immediately and the program keeps running
	Functions   map[string]Function
	Types       map[string]Type
}

// Function is a function of a package.
type Function struct {
	Description string
	Parameters  []Parameter
	Returns     string // type of the result
}

// Parameter is a parameter of a function. Branelet needs a value for each, even if it is optional or has a default.
type Parameter struct {
	Name     string
	Type     string
	Optional bool
	Secret   bool // the value is confidential
}

// Type is a class that the package defines.
type Type struct{ Properties []Property }

// Property is a property of a class.
type Property struct{ Name, Type string }

// Parameter returns the parameter of a name.
func (f Function) Parameter(name string) (Parameter, bool) {
	for _, parameter := range f.Parameters {
		if parameter.Name == name {
			return parameter, true
		}
	}
	return Parameter{}, false
}

// Names returns the names of the functions, sorted.
func (p Package) Names() []string { return slices.Sorted(maps.Keys(p.Functions)) }

const unit = "unit"

// file is any of the three files. A package.yml has `functions`, the others have `actions`.
type file struct {
	Name         *string               `yaml:"name"`
	Version      *string               `yaml:"version"`
	Kind         *string               `yaml:"kind"`
	Owners       []string              `yaml:"owners"`
	Contributors []string              `yaml:"contributors"` // the owners, in Brane 0.4
	Description  string                `yaml:"description"`
	Detached     bool                  `yaml:"detached"`
	Functions    *map[string]*function `yaml:"functions"`
	Actions      *map[string]*action   `yaml:"actions"`
	Entrypoint   *entrypoint           `yaml:"entrypoint"`
	Types        map[string]*class     `yaml:"types"`
}

type entrypoint struct {
	Kind *string `yaml:"kind"`
	Exec *string `yaml:"exec"`
}

type function struct {
	Parameters *[]parameter `yaml:"parameters"`
	ReturnType *string      `yaml:"returnType"`
}

type action struct {
	Description string      `yaml:"description"`
	Input       []parameter `yaml:"input"`
	Output      []parameter `yaml:"output"`
}

type parameter struct {
	Name     *string `yaml:"name"`
	Type     *string `yaml:"type"`
	Optional bool    `yaml:"optional"`
	Secret   any     `yaml:"secret"` // the name of a secret in Brane 0.4 to 0.6
}

type class struct {
	Name       *string     `yaml:"name"`
	Properties []parameter `yaml:"properties"`
}

// ReadFile reads the description of a package. It reads no more than the maximum size of one.
func ReadFile(name string) (Package, error) {
	file, err := os.Open(name)
	if err != nil {
		return Package{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return Package{}, err
	}
	return Parse(text)
}

// Parse parses a package.yml, a container.yml or a local_container.yml.
func Parse(text []byte) (Package, error) {
	if len(text) > MaxSize {
		return Package{}, fmt.Errorf("the file has %d bytes, and a package file may have at most %d", len(text), MaxSize)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var d *file
	err := decoder.Decode(&d)
	switch {
	case errors.Is(err, io.EOF), err == nil && d == nil:
		return Package{}, errors.New("the file is empty")
	case err != nil:
		return Package{}, toOneLine(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Package{}, errors.New("the file contains more than one YAML document")
	}
	return d.toPackage()
}

// toOneLine returns an error of the parser in one line, without names of Go types.
func toOneLine(err error) error {
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	var types *yaml.TypeError
	if errors.As(err, &types) {
		reason = strings.Join(types.Errors, "; ")
	}
	for _, t := range goTypes {
		reason = t.pattern.ReplaceAllString(reason, t.name)
	}
	return errors.New(strings.Join(strings.Fields(reason), " "))
}

func (d *file) toPackage() (Package, error) {
	p := Package{Owners: slices.Concat(d.Owners, d.Contributors), Description: d.Description, Detached: d.Detached, Functions: map[string]Function{}, Types: map[string]Type{}}
	switch {
	case d.Name == nil:
		return Package{}, errors.New("name is missing")
	case d.Kind == nil:
		return Package{}, errors.New("kind is missing")
	}
	p.Name, p.Kind = *d.Name, *d.Kind
	if d.Version != nil {
		p.Version = *d.Version
		if !version.MatchString(p.Version) {
			return Package{}, fmt.Errorf("version %q is not a semantic version such as 1.0.0", p.Version)
		}
	}
	var err error
	switch {
	case d.Functions != nil && d.Actions != nil:
		err = errors.New("the file has both functions (as in package.yml) and actions (as in container.yml)")
	case d.Functions != nil && d.Version == nil:
		err = errors.New("version is missing")
	case d.Functions != nil:
		err = p.addFunctions(*d.Functions)
	case d.Actions == nil:
		err = errors.New("the file has neither functions (as in package.yml) nor actions (as in container.yml)")
	case d.Entrypoint == nil || d.Entrypoint.Kind == nil || d.Entrypoint.Exec == nil:
		err = errors.New("entrypoint with kind and exec is missing")
	default:
		p.Detached = *d.Entrypoint.Kind == "service"
		err = p.addActions(*d.Actions)
	}
	if err == nil {
		err = p.addTypes(d.Types)
	}
	return p, err
}

// goTypes replaces the Go types of this package in errors of the parser.
var goTypes = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`into \[\]packagefile\.\w+`), "into a list"},
	{regexp.MustCompile(`into (map\[string\])?\*?packagefile\.\w+`), "into a mapping"},
}

// version matches a semantic version, or "latest", which Brane 0.6 accepts as well.
var version = regexp.MustCompile(`^(latest|\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)$`)

func (p *Package) addFunctions(functions map[string]*function) error {
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		f := functions[name]
		if f == nil || f.Parameters == nil || f.ReturnType == nil {
			return fmt.Errorf("function %q has no parameters or no returnType", name)
		}
		parameters, err := toParameters(*f.Parameters)
		if err != nil {
			return fmt.Errorf("function %q: %w", name, err)
		}
		p.Functions[name] = Function{Parameters: parameters, Returns: *f.ReturnType}
	}
	return nil
}

// addActions adds actions as functions, as Brane does in package.yml: the first output is the result.
func (p *Package) addActions(actions map[string]*action) error {
	for _, name := range slices.Sorted(maps.Keys(actions)) {
		a := actions[name]
		if a == nil {
			return fmt.Errorf("action %q is empty", name)
		}
		parameters, err := toParameters(a.Input)
		if err != nil {
			return fmt.Errorf("action %q: input: %w", name, err)
		}
		outputs, err := toParameters(a.Output)
		if err != nil {
			return fmt.Errorf("action %q: output: %w", name, err)
		}
		f := Function{Description: a.Description, Parameters: parameters, Returns: unit}
		if len(outputs) > 0 {
			f.Returns = outputs[0].Type
		}
		p.Functions[name] = f
	}
	return nil
}

func toParameters(parsed []parameter) ([]Parameter, error) {
	parameters := make([]Parameter, 0, len(parsed))
	seen := map[string]bool{}
	for i, q := range parsed {
		if q.Name == nil || q.Type == nil {
			return nil, fmt.Errorf("entry %d has no name or no type", i)
		}
		if seen[*q.Name] {
			return nil, fmt.Errorf("duplicate entry %q", *q.Name)
		}
		seen[*q.Name] = true
		parameters = append(parameters, Parameter{Name: *q.Name, Type: *q.Type, Optional: q.Optional, Secret: q.Secret != nil && q.Secret != false})
	}
	return parameters, nil
}

func (p *Package) addTypes(types map[string]*class) error {
	for _, name := range slices.Sorted(maps.Keys(types)) {
		c := types[name]
		if c == nil || c.Name == nil {
			return fmt.Errorf("type %q has no name", name)
		}
		parameters, err := toParameters(c.Properties)
		if err != nil {
			return fmt.Errorf("type %q: %w", name, err)
		}
		var t Type
		for _, parameter := range parameters {
			t.Properties = append(t.Properties, Property{Name: parameter.Name, Type: parameter.Type})
		}
		p.Types[name] = t
	}
	return nil
}

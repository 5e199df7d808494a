package main

import (
	"slices"
	"strings"
)

// undescribed returns the names of everything that has no description, in alphabetical order.
func undescribed(p providerSchema) []string {
	var names []string
	say := func(name, description string) {
		if strings.TrimSpace(description) == "" {
			names = append(names, name)
		}
	}

	if p.Provider != nil {
		say("provider", p.Provider.Block.Description)
		inBlock("provider", p.Provider.Block, say)
	}
	for kind, schemas := range map[string]map[string]schema{
		"resource":           p.Resources,
		"data source":        p.DataSources,
		"ephemeral resource": p.EphemeralResources,
		"list resource":      p.ListResources,
		"action":             p.Actions,
	} {
		for name, s := range schemas {
			say(kind+" "+name, s.Block.Description)
			inBlock(kind+" "+name, s.Block, say)
		}
	}
	for name, f := range p.Functions {
		say("function "+name, f.Description)
		say("function "+name+" (summary)", f.Summary)
		for _, parameter := range f.Parameters {
			say("function "+name+"."+parameter.Name, parameter.Description)
		}
		if f.Variadic != nil {
			say("function "+name+"."+f.Variadic.Name, f.Variadic.Description)
		}
	}
	for name, identity := range p.Identities {
		for attribute, a := range identity.Attributes {
			say("identity of "+name+"."+attribute, a.Description)
		}
	}
	slices.Sort(names)
	return names
}

func inBlock(at string, b *block, say func(name, description string)) {
	inAttributes(at, b.Attributes, say)
	for name, nested := range b.Blocks {
		say(at+"."+name, nested.Block.Description)
		inBlock(at+"."+name, nested.Block, say)
	}
}

func inAttributes(at string, attributes map[string]attribute, say func(name, description string)) {
	for name, a := range attributes {
		say(at+"."+name, a.Description)
		if a.Nested != nil {
			inAttributes(at+"."+name, a.Nested.Attributes, say)
		}
		if holdsObject(a.Type) {
			say(at+"."+name+" (its fields: only a nested attribute can describe them)", "")
		}
	}
}

// holdsObject reports whether a type is an object or a collection of objects, whose fields cannot have descriptions.
func holdsObject(t any) bool {
	parts, _ := t.([]any)
	return len(parts) == 2 && (parts[0] == "object" || holdsObject(parts[1]))
}

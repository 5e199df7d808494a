package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// read requests all schemas from a provider server. The provider is not configured: schemas need no credentials.
func read(ctx context.Context, server tfprotov6.ProviderServer) (providerSchema, error) {
	offered, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		return providerSchema{}, fmt.Errorf("read the provider's schemas: %w", err)
	}
	if err := complaints(offered.Diagnostics); err != nil {
		return providerSchema{}, fmt.Errorf("read the provider's schemas: %w", err)
	}
	identities, err := server.GetResourceIdentitySchemas(ctx, &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil {
		return providerSchema{}, fmt.Errorf("read the provider's identity schemas: %w", err)
	}
	if err := complaints(identities.Diagnostics); err != nil {
		return providerSchema{}, fmt.Errorf("read the provider's identity schemas: %w", err)
	}

	answer := providerSchema{
		Resources:          each(offered.ResourceSchemas, schemaOf),
		DataSources:        each(offered.DataSourceSchemas, schemaOf),
		EphemeralResources: each(offered.EphemeralResourceSchemas, schemaOf),
		ListResources:      each(offered.ListResourceSchemas, schemaOf),
		Actions: each(offered.ActionSchemas, func(a *tfprotov6.ActionSchema) schema {
			return schemaOf(a.Schema)
		}),
		Functions:  each(offered.Functions, functionOf),
		Identities: each(identities.IdentitySchemas, identityOf),
	}
	if offered.Provider != nil {
		own := schemaOf(offered.Provider)
		answer.Provider = &own
	}
	return answer, nil
}

// complaints returns the error diagnostics of a response as one error.
func complaints(diagnostics []*tfprotov6.Diagnostic) error {
	var said []string
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			said = append(said, d.Summary+": "+d.Detail)
		}
	}
	if len(said) == 0 {
		return nil
	}
	return fmt.Errorf("the provider returned errors: %s", strings.Join(said, "; "))
}

func each[From, To any](all map[string]From, convert func(From) To) map[string]To {
	converted := make(map[string]To, len(all))
	for name, one := range all {
		converted[name] = convert(one)
	}
	return converted
}

func schemaOf(s *tfprotov6.Schema) schema {
	return schema{Version: s.Version, Block: blockOf(s.Block)}
}

func blockOf(b *tfprotov6.SchemaBlock) *block {
	blocks := make(map[string]nestedBlock, len(b.BlockTypes))
	for _, nested := range b.BlockTypes {
		blocks[nested.TypeName] = nestedBlock{
			Nesting:  strings.ToLower(nested.Nesting.String()),
			Block:    blockOf(nested.Block),
			MinItems: nested.MinItems,
			MaxItems: nested.MaxItems,
		}
	}
	return &block{
		Attributes:  attributesOf(b.Attributes),
		Blocks:      blocks,
		describedAs: description(b.Description, b.DescriptionKind),
		Deprecated:  b.Deprecated,
	}
}

func attributesOf(all []*tfprotov6.SchemaAttribute) map[string]attribute {
	converted := make(map[string]attribute, len(all))
	for _, a := range all {
		one := attribute{
			describedAs: description(a.Description, a.DescriptionKind),
			Deprecated:  a.Deprecated,
			Required:    a.Required,
			Optional:    a.Optional,
			Computed:    a.Computed,
			Sensitive:   a.Sensitive,
			WriteOnly:   a.WriteOnly,
		}
		if a.NestedType != nil {
			one.Nested = &nestedType{
				Attributes: attributesOf(a.NestedType.Attributes),
				Nesting:    strings.ToLower(a.NestedType.Nesting.String()),
			}
		} else {
			one.Type = typeOf(a.Type)
		}
		converted[a.Name] = one
	}
	return converted
}

func description(text string, kind tfprotov6.StringKind) describedAs {
	if text == "" {
		return describedAs{}
	}
	return describedAs{Description: text, Kind: strings.ToLower(kind.String())}
}

func functionOf(f *tfprotov6.Function) signature {
	converted := signature{
		Description: f.Description,
		Summary:     f.Summary,
		Deprecation: f.DeprecationMessage,
		Returns:     typeOf(f.Return.Type),
	}
	for _, p := range f.Parameters {
		converted.Parameters = append(converted.Parameters, parameterOf(p))
	}
	if f.VariadicParameter != nil {
		variadic := parameterOf(f.VariadicParameter)
		converted.Variadic = &variadic
	}
	return converted
}

func parameterOf(p *tfprotov6.FunctionParameter) parameter {
	return parameter{Name: p.Name, Description: p.Description, Nullable: p.AllowNullValue, Type: typeOf(p.Type)}
}

func identityOf(s *tfprotov6.ResourceIdentitySchema) identitySchema {
	converted := identitySchema{Version: s.Version, Attributes: map[string]identityAttribute{}}
	for _, a := range s.IdentityAttributes {
		converted.Attributes[a.Name] = identityAttribute{
			Type:        typeOf(a.Type),
			Description: a.Description,
			Required:    a.RequiredForImport,
			Optional:    a.OptionalForImport,
		}
	}
	return converted
}

// typeOf formats a type like the CLI: "string", ["list", "string"], ["object", {"name": "string"}].
func typeOf(t tftypes.Type) any {
	switch t := t.(type) {
	case tftypes.List:
		return []any{"list", typeOf(t.ElementType)}
	case tftypes.Set:
		return []any{"set", typeOf(t.ElementType)}
	case tftypes.Map:
		return []any{"map", typeOf(t.ElementType)}
	case tftypes.Tuple:
		elements := make([]any, 0, len(t.ElementTypes))
		for _, element := range t.ElementTypes {
			elements = append(elements, typeOf(element))
		}
		return []any{"tuple", elements}
	case tftypes.Object:
		return []any{"object", each(t.AttributeTypes, typeOf)}
	}
	switch {
	case t.Is(tftypes.String):
		return "string"
	case t.Is(tftypes.Number):
		return "number"
	case t.Is(tftypes.Bool):
		return "bool"
	default:
		return "dynamic"
	}
}

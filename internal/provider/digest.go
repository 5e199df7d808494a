package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// inputDigest plans an input's sha256 from its content or its file, so that the plan shows which inputs have changed.
type inputDigest struct{}

func (inputDigest) Description(context.Context) string {
	return "the digest of the content or of the file"
}
func (d inputDigest) MarkdownDescription(ctx context.Context) string { return d.Description(ctx) }

func (inputDigest) PlanModifyString(ctx context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	var model inputModel
	input := req.Path.ParentPath()
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, input.AtName("content"), &model.Content)...)
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, input.AtName("source"), &model.Source)...)
	if resp.Diagnostics.HasError() || model.Content.IsUnknown() || model.Source.IsUnknown() {
		return
	}
	// A file that is not readable is an error of the whole plan, told once, where the run's id is computed.
	if digest, err := model.digest(); err == nil {
		resp.PlanValue = types.StringValue(digest)
	}
}

func readerDigest(r io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// durationOf checks a duration's size; that it is one is checked by its type.
func durationOf(description string, holds func(time.Duration) bool) validator.String {
	return textRule{description: description, problems: func(text string) []string {
		if d, err := time.ParseDuration(text); err == nil && !holds(d) {
			return []string{fmt.Sprintf("must be %s", description)}
		}
		return nil
	}}
}

func atLeastAnHour(d time.Duration) bool  { return d >= time.Hour }
func atLeastASecond(d time.Duration) bool { return d >= time.Second }

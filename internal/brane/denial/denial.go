// Package denial explains why an API server has denied a request. Forbidden is the answer to a missing permission, but also to a quota, a
// LimitRange, Pod Security, a policy and a webhook, and each of them has a different remedy. Only the message shows which one it is.
package denial

import (
	"errors"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Cause is what has denied a request.
type Cause string

// The causes.
const (
	Permission    Cause = "permission"     // the user lacks a permission
	Escalation    Cause = "escalation"     // the user grants a permission that it does not have
	Quota         Cause = "quota"          // a ResourceQuota is used up, or smaller than the request
	QuotaDemand   Cause = "quota demand"   // a ResourceQuota requires that containers set requests or limits
	QuotaUnknown  Cause = "quota unknown"  // the usage of a ResourceQuota is not computed yet
	LimitRange    Cause = "limit range"    // a LimitRange forbids the requests or limits of a container
	PodSecurity   Cause = "pod security"   // the Pod Security level of the namespace
	Webhook       Cause = "webhook"        // an admission webhook has denied the request
	WebhookError  Cause = "webhook error"  // an admission webhook could not be called
	Policy        Cause = "policy"         // a ValidatingAdmissionPolicy
	Terminating   Cause = "terminating"    // the namespace is being deleted
	MissingObject Cause = "missing object" // the pod refers to an object that does not exist
	Other         Cause = "other"          // another admission plugin
)

// Denial is what the message of an API server says about a denied request. Fields that do not concern its cause are empty.
type Denial struct {
	Cause Cause
	Text  string // the message, without the name of the object that was denied

	// Of a missing permission, and of an escalation.
	User      string
	Rules     []Rule
	Namespace string // of the permission; empty for the whole cluster

	// Of a quota, a webhook, a policy or a Pod Security level.
	Name string

	// Of a quota.
	Requested, Used, Limited map[string]string // resource → quantity

	// Of a LimitRange.
	Bounds []Bound
}

// Rule is a permission.
type Rule struct {
	Group, Resource, Verb, Name, URL string
}

// Bound is what a LimitRange allows, and what it has denied.
type Bound struct {
	Kind     string // minimum, maximum or ratio
	Resource string
	Type     string // Container, Pod or PersistentVolumeClaim
	Allowed  string // quantity, or ratio
	Field    string // request, limit or ratio; what was denied
	Value    string // empty if it was not specified
}

// Find returns the denial that an error of an API server contains. It reports whether there is one.
func Find(err error) (Denial, bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return Denial{}, false
	}
	found, isKnown := Parse(status.Status().Message)
	return found, isKnown && (found.Cause != Other || apierrors.IsForbidden(err))
}

// The messages of Kubernetes, most of them since 1.8. A message with one of these causes may contain text of other authors at its end.
var (
	prefix        = regexp.MustCompile(`(?s)^(?:Error creating: )?(?:(?:[a-z0-9.-]+ )?(?:"[^"]*" )?is )?forbidden: (.*)$`)
	permission    = regexp.MustCompile(`^User "([^"]*)" cannot ([a-z*]+) (?:resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)"| at the cluster scope)|path "([^"]*)")`)
	escalation    = regexp.MustCompile(`^user "([^"]*)" \(groups=.*?\) is attempting to grant RBAC permissions not currently held`)
	quota         = regexp.MustCompile(`^exceeded quota: ([^,]+), requested: (\S+), used: (\S+), limited: (\S+)`)
	quotaDemand   = regexp.MustCompile(`^failed quota: ([^:]+): must specify (.+)`)
	quotaUnknown  = regexp.MustCompile(`^status unknown for quota: ([^,]+)`)
	uncoveredUse  = regexp.MustCompile(`^insufficient quota to (?:consume|match)`)
	extremeBound  = regexp.MustCompile(`(minimum|maximum) (\S+) usage per (Container|Pod|PersistentVolumeClaim) is ([0-9.]+[0-9]?[a-zA-Z]*)(?:, but (request|limit) is ([0-9.]+[a-zA-Z]*)|\.  No (request|limit) is specified)`)
	ratioBound    = regexp.MustCompile(`(\S+) max limit to request ratio per (Container|Pod) is ([0-9.]+[0-9]?[a-zA-Z]*), but (?:provided ratio is ([0-9.]+)|no (?:request|limit) is specified or (?:request|limit) is 0)`)
	podSecurity   = regexp.MustCompile(`^violates PodSecurity "([^"]*)": `)
	webhook       = regexp.MustCompile(`(?s)^admission webhook "([^"]*)" (denied the request.*|does not support dry run)`)
	webhookError  = regexp.MustCompile(`failed calling webhook "([^"]*)": (.*)`)
	policy        = regexp.MustCompile(`^ValidatingAdmissionPolicy '([^']*)'(?: with binding '[^']*')? denied request: `)
	terminating   = regexp.MustCompile(`^unable to create new content in namespace \S+ because it is being terminated`)
	missingObject = regexp.MustCompile(`^(?:error looking up service account \S+/([^:]+): |no PriorityClass with name (\S+) was found|pod rejected: RuntimeClass "([^"]+)" not found)`)
	heldRule      = regexp.MustCompile(`\{((?:[A-Za-z]+:\[(?:"[^"]*" ?)*\](?:, )?)+)\}`)
	ruleField     = regexp.MustCompile(`([A-Za-z]+):\[((?:"[^"]*" ?)*)\]`)
	quotedWord    = regexp.MustCompile(`"([^"]*)"`)
)

// Parse returns the denial that a message of an API server, or of an event, describes. It reports whether the message describes one.
func Parse(message string) (Denial, bool) {
	text := strings.TrimPrefix(message, "Error creating: ")
	isForbidden := false
	if match := prefix.FindStringSubmatch(message); match != nil {
		text, isForbidden = match[1], true
	}
	d := Denial{Cause: Other, Text: text}
	switch {
	case d.parseWebhook(), d.parsePolicy():
		return d, true
	case !isForbidden:
		return Denial{}, false
	}
	_ = d.parsePermission() || d.parseQuota() || d.parseBounds() || d.parsePod()
	return d, true
}

func (d *Denial) parseWebhook() bool {
	if match := webhook.FindStringSubmatch(d.Text); match != nil {
		d.Cause, d.Name = Webhook, match[1]
		return true
	}
	match := webhookError.FindStringSubmatch(d.Text)
	if match != nil {
		d.Cause, d.Name = WebhookError, match[1]
	}
	return match != nil
}

func (d *Denial) parsePolicy() bool {
	match := policy.FindStringSubmatch(d.Text)
	if match != nil {
		d.Cause, d.Name = Policy, match[1]
	}
	return match != nil
}

func (d *Denial) parsePermission() bool {
	if match := permission.FindStringSubmatch(d.Text); match != nil {
		d.Cause, d.User, d.Namespace = Permission, match[1], match[5]
		d.Rules = []Rule{{Verb: match[2], Resource: match[3], Group: match[4], URL: match[6]}}
		return true
	}
	match := escalation.FindStringSubmatch(d.Text)
	if match == nil {
		return false
	}
	d.Cause, d.User = Escalation, match[1]
	for _, rule := range heldRule.FindAllStringSubmatch(d.Text, -1) {
		d.Rules = append(d.Rules, expandRule(rule[1])...)
	}
	return true
}

// expandRule returns the permissions of a rule in the notation of an escalation's message.
func expandRule(text string) []Rule {
	fields := map[string][]string{}
	for _, field := range ruleField.FindAllStringSubmatch(text, -1) {
		for _, word := range quotedWord.FindAllStringSubmatch(field[2], -1) {
			fields[field[1]] = append(fields[field[1]], word[1])
		}
	}
	orEmpty := func(words []string) []string {
		if len(words) == 0 {
			return []string{""}
		}
		return words
	}
	var rules []Rule
	for _, verb := range fields["Verbs"] {
		for _, url := range fields["NonResourceURLs"] {
			rules = append(rules, Rule{Verb: verb, URL: url})
		}
		for _, group := range fields["APIGroups"] {
			for _, resource := range fields["Resources"] {
				for _, name := range orEmpty(fields["ResourceNames"]) {
					rules = append(rules, Rule{Verb: verb, Group: group, Resource: resource, Name: name})
				}
			}
		}
	}
	return rules
}

func (d *Denial) parseQuota() bool {
	if match := quota.FindStringSubmatch(d.Text); match != nil {
		d.Cause, d.Name = Quota, match[1]
		d.Requested, d.Used, d.Limited = parseQuantities(match[2]), parseQuantities(match[3]), parseQuantities(match[4])
		return true
	}
	if match := quotaDemand.FindStringSubmatch(d.Text); match != nil {
		d.Cause, d.Name = QuotaDemand, match[1]
		return true
	}
	if match := quotaUnknown.FindStringSubmatch(d.Text); match != nil {
		d.Cause, d.Name = QuotaUnknown, match[1]
		return true
	}
	if uncoveredUse.MatchString(d.Text) {
		d.Cause = Quota
		return true
	}
	return false
}

// parseQuantities parses a list like "cpu=500m,pods=1".
func parseQuantities(text string) map[string]string {
	quantities := map[string]string{}
	for item := range strings.SplitSeq(strings.TrimRight(text, ".,"), ",") {
		if name, value, found := strings.Cut(item, "="); found {
			quantities[name] = value
		}
	}
	return quantities
}

// NeverFits reports whether the request is larger than the whole quota, so that waiting does not help.
func (d Denial) NeverFits() bool {
	for name, requested := range d.Requested {
		wanted, errWanted := resource.ParseQuantity(requested)
		limit, errLimit := resource.ParseQuantity(d.Limited[name])
		if errWanted == nil && errLimit == nil && wanted.Cmp(limit) > 0 {
			return true
		}
	}
	return false
}

func (d *Denial) parseBounds() bool {
	for _, match := range extremeBound.FindAllStringSubmatch(d.Text, -1) {
		d.Bounds = append(d.Bounds, Bound{
			Kind: match[1], Resource: match[2], Type: match[3], Allowed: strings.TrimSuffix(match[4], "."), Field: match[5] + match[7], Value: match[6],
		})
	}
	for _, match := range ratioBound.FindAllStringSubmatch(d.Text, -1) {
		d.Bounds = append(d.Bounds, Bound{Kind: "ratio", Resource: strings.TrimLeft(match[1], "["), Type: match[2], Allowed: match[3], Field: "ratio", Value: match[4]})
	}
	if len(d.Bounds) > 0 {
		d.Cause = LimitRange
	}
	return len(d.Bounds) > 0
}

func (d *Denial) parsePod() bool {
	if match := podSecurity.FindStringSubmatch(d.Text); match != nil {
		d.Cause, d.Name = PodSecurity, match[1]
		return true
	}
	if terminating.MatchString(d.Text) {
		d.Cause = Terminating
		return true
	}
	match := missingObject.FindStringSubmatch(d.Text)
	if match != nil {
		d.Cause, d.Name = MissingObject, match[1]+match[2]+match[3]
	}
	return match != nil
}

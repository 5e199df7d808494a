package jobspec

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The containers of the agent and of the engine are not in the user's configuration, so their resources have to fit what a namespace allows
// and demands of all containers, and must not use the quota that the steps need.

// Policies are what a namespace allows and demands of the resources of its containers. The zero value allows everything.
type Policies struct {
	Ranges []corev1.LimitRangeItem    `json:"ranges,omitempty"`
	Quotas []corev1.ResourceQuotaSpec `json:"quotas,omitempty"`
}

// AddRange adds a LimitRange.
func (p *Policies) AddRange(limits corev1.LimitRange) {
	for _, item := range limits.Spec.Limits {
		if item.Type == corev1.LimitTypeContainer || item.Type == corev1.LimitTypePod {
			p.Ranges = append(p.Ranges, item)
		}
	}
}

// AddQuota adds a ResourceQuota, unless its scopes exclude the pods of runs.
func (p *Policies) AddQuota(quota corev1.ResourceQuota) {
	isForeign := func(scope corev1.ResourceQuotaScope) bool {
		return scope != corev1.ResourceQuotaScopeNotTerminating && scope != corev1.ResourceQuotaScopeNotBestEffort
	}
	if quota.Spec.ScopeSelector == nil && !slices.ContainsFunc(quota.Spec.Scopes, isForeign) {
		p.Quotas = append(p.Quotas, quota.Spec)
	}
}

// bounds are what all policies together say about one resource of a container. Quantities that are nil are not limited.
type bounds struct {
	min, max, ratio              *resource.Quantity
	defaultLimit, defaultRequest *resource.Quantity // what the API server sets if the container does not
	limitQuota, requestQuota     *resource.Quantity // of all containers together
}

func (p Policies) findBounds(name corev1.ResourceName) bounds {
	var b bounds
	smaller := func(one *resource.Quantity, list corev1.ResourceList, name corev1.ResourceName) *resource.Quantity {
		if other, found := list[name]; found && (one == nil || other.Cmp(*one) < 0) {
			return &other
		}
		return one
	}
	first := func(one *resource.Quantity, list corev1.ResourceList) *resource.Quantity {
		if other, found := list[name]; found && one == nil {
			return &other
		}
		return one
	}
	for _, item := range p.Ranges {
		b.max, b.ratio = smaller(b.max, item.Max, name), smaller(b.ratio, item.MaxLimitRequestRatio, name)
		if other, found := item.Min[name]; found && (b.min == nil || other.Cmp(*b.min) > 0) {
			b.min = &other
		}
		b.defaultLimit, b.defaultRequest = first(b.defaultLimit, item.Default), first(b.defaultRequest, item.DefaultRequest)
	}
	for _, quota := range p.Quotas {
		b.limitQuota = smaller(b.limitQuota, quota.Hard, "limits."+name)
		b.requestQuota = smaller(smaller(b.requestQuota, quota.Hard, name), quota.Hard, "requests."+name)
	}
	return b
}

// stageMemory is enough for the agent (at most 32 MiB), its binary in the volume in memory, and the page cache of the staged files.
var stageMemory = resource.MustParse("128Mi")

// fitStage returns the resources of the init container: those of the step, because a namespace with a quota does not admit a container
// without
// resources, with enough memory for the agent if the namespace allows that. They do not increase the requests of the pod, because the init
// container ends before the main container starts. Only the main container gets devices.
func (p Policies) fitStage(step workflow.Resources) corev1.ResourceRequirements {
	resources := corev1.ResourceRequirements{Requests: selectCompute(step.Requests), Limits: selectCompute(step.Limits)}
	b := p.findBounds(corev1.ResourceMemory)
	limit, isLimited := resources.Limits[corev1.ResourceMemory]
	request, isRequested := resources.Requests[corev1.ResourceMemory]
	if !isRequested {
		request = limit // which the API server sets
	}
	if !isLimited {
		if b.defaultLimit == nil {
			return resources
		}
		limit = *b.defaultLimit
		if !isRequested {
			request = limit
			if b.defaultRequest != nil {
				request = *b.defaultRequest
			}
		}
	}
	raised := stageMemory
	if b.limitQuota != nil {
		return resources // what is more than the step's own limit could exceed the quota
	}
	if b.max != nil && b.max.Cmp(raised) < 0 {
		raised = *b.max
	}
	if b.ratio != nil {
		raised = smallerOf(raised, multiply(request, *b.ratio))
	}
	if raised.Cmp(limit) <= 0 {
		return resources
	}
	// Without a request a container requests its limit, and the pod would request more than the step.
	setQuantity(&resources.Limits, corev1.ResourceMemory, raised)
	setQuantity(&resources.Requests, corev1.ResourceMemory, request)
	return resources
}

// selectCompute returns the resources that every container has; nil if there are none.
func selectCompute(list corev1.ResourceList) corev1.ResourceList {
	var kept corev1.ResourceList
	for name, quantity := range list {
		if workflow.IsComputeResource(name) {
			setQuantity(&kept, name, quantity)
		}
	}
	return kept
}

func setQuantity(list *corev1.ResourceList, name corev1.ResourceName, quantity resource.Quantity) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = quantity
}

func smallerOf(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func largerOf(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

// multiply returns a quantity times a ratio, rounded down to a thousandth.
func multiply(quantity, ratio resource.Quantity) resource.Quantity {
	product := quantity.AsApproximateFloat64() * ratio.AsApproximateFloat64()
	if product > 1e15 { // of which a thousandth is not an int64 any more
		return quantity
	}
	if product >= 1e6 { // bytes
		return *resource.NewQuantity(int64(product), resource.BinarySI)
	}
	return *resource.NewMilliQuantity(int64(product*1000+1e-6), resource.DecimalSI)
}

// engineNeed is what the engine uses of a resource.
type engineNeed struct {
	name    corev1.ResourceName
	request string // what it requests; empty if it does so only where the namespace demands a request
	limit   string // its limit; empty if it has one only where the namespace demands it
	demand  string // the limit where one is demanded and none is given
	least   string // the smallest limit with which it works
}

var engineNeeds = []engineNeed{
	{corev1.ResourceCPU, "50m", "", "1", "10m"}, // without a limit, which would only make it slow
	{corev1.ResourceMemory, "64Mi", "256Mi", "256Mi", "64Mi"},
	{corev1.ResourceEphemeralStorage, "", "", "64Mi", "1Mi"},
}

// EngineFitError reports that a namespace does not allow what the engine needs.
type EngineFitError struct{ Problem string }

func (e *EngineFitError) Error() string { return e.Problem }

// FitEngine returns the resources of the engine's container: the configured ones, and otherwise what the engine needs. What a quota allows
// remains for the largest step, as far as possible. An [EngineFitError] means that the engine cannot run beside a step.
func (p Policies) FitEngine(graph workflow.Graph, configured workflow.Resources) (corev1.ResourceRequirements, error) {
	resources := corev1.ResourceRequirements{Requests: maps.Clone(configured.Requests), Limits: maps.Clone(configured.Limits)}
	for _, need := range engineNeeds {
		if err := p.fitEngineResource(need, graph, configured, &resources); err != nil {
			return resources, err
		}
	}
	hasPods := slices.ContainsFunc(graph.All(), func(step workflow.Step) bool { return !step.IsEmpty })
	for _, quota := range p.Quotas {
		for _, name := range []corev1.ResourceName{corev1.ResourcePods, "count/pods", "count/jobs.batch"} {
			if hard, found := quota.Hard[name]; found && hasPods && hard.CmpInt64(2) < 0 {
				return resources, &EngineFitError{fmt.Sprintf("a ResourceQuota of the namespace allows %s %s, and the engine (wait = false) needs "+
					"one beside that of a step: raise it to 2 at least", hard.String(), name)}
			}
		}
	}
	return resources, nil
}

func (p Policies) fitEngineResource(need engineNeed, graph workflow.Graph, configured workflow.Resources, resources *corev1.ResourceRequirements) error {
	b, least := p.findBounds(need.name), resource.MustParse(need.least)
	var request, limit resource.Quantity
	ownRequest, hasOwnRequest := configured.Requests[need.name]
	ownLimit, hasOwnLimit := configured.Limits[need.name]
	hasLimit := hasOwnLimit || need.limit != "" || b.defaultLimit != nil || b.max != nil || b.ratio != nil || b.limitQuota != nil
	hasRequest := hasOwnRequest || need.request != "" || hasLimit || b.min != nil || b.requestQuota != nil || b.defaultRequest != nil
	if !hasRequest {
		return nil
	}
	limit = resource.MustParse(need.demand)
	if need.limit == "" && b.defaultLimit != nil {
		limit = *b.defaultLimit
	}
	request = least
	if need.request != "" {
		request = resource.MustParse(need.request)
	}
	if b.limitQuota != nil {
		left := *b.limitQuota
		left.Sub(largestOf(graph, func(step workflow.Resources) corev1.ResourceList { return step.Limits }, need.name))
		limit = smallerOf(limit, largerOf(left, least))
	}
	if b.requestQuota != nil {
		left := *b.requestQuota
		left.Sub(largestOf(graph, func(step workflow.Resources) corev1.ResourceList { return step.Requests }, need.name))
		request = smallerOf(request, largerOf(left, least))
	}
	if b.max != nil {
		limit, request = smallerOf(limit, *b.max), smallerOf(request, *b.max)
	}
	if b.min != nil {
		limit, request = largerOf(limit, *b.min), largerOf(request, *b.min)
	}
	request = smallerOf(request, limit)
	if b.ratio != nil && limit.AsApproximateFloat64() > request.AsApproximateFloat64()*b.ratio.AsApproximateFloat64() {
		limit = largerOf(multiply(request, *b.ratio), least)
		request = largerOf(request, divide(limit, *b.ratio))
	}
	if hasOwnLimit {
		limit, least, request = ownLimit, ownLimit, smallerOf(request, ownLimit)
		if b.ratio != nil {
			request = largerOf(request, divide(limit, *b.ratio))
		}
	}
	if hasOwnRequest {
		request, least = ownRequest, largerOf(ownRequest, ownLimit)
	}
	if hasOwnRequest && !hasOwnLimit {
		limit = largerOf(limit, request)
		if b.ratio != nil {
			limit = smallerOf(limit, multiply(request, *b.ratio))
		}
	}
	setQuantity(&resources.Requests, need.name, request)
	if hasLimit {
		setQuantity(&resources.Limits, need.name, limit)
	}
	return checkEngineFit(b, need.name, request, limit, least, hasLimit)
}

// largestOf returns the largest quantity of a resource among the steps.
func largestOf(graph workflow.Graph, of func(workflow.Resources) corev1.ResourceList, name corev1.ResourceName) resource.Quantity {
	var largest resource.Quantity
	for _, step := range graph.All() {
		largest = largerOf(largest, of(step.Resources)[name])
	}
	return largest
}

// divide returns a quantity divided by a ratio, rounded up.
func divide(quantity, ratio resource.Quantity) resource.Quantity {
	quotient := quantity.AsApproximateFloat64() / ratio.AsApproximateFloat64()
	if quotient >= 1e6 { // bytes
		return *resource.NewQuantity(int64(math.Ceil(quotient)), resource.BinarySI)
	}
	return *resource.NewMilliQuantity(int64(math.Ceil(quotient*1000-1e-6)), resource.DecimalSI)
}

// checkEngineFit reports why resources of the engine are not allowed.
func checkEngineFit(b bounds, name corev1.ResourceName, request, limit, least resource.Quantity, hasLimit bool) error {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	switch {
	case b.max != nil && b.max.Cmp(least) < 0:
		add("a LimitRange allows %s", b.max)
	case b.min != nil && b.max != nil && b.min.Cmp(*b.max) > 0:
		add("its LimitRanges demand %s and allow %s", b.min, b.max)
	}
	if b.limitQuota != nil && hasLimit && limit.Cmp(*b.limitQuota) > 0 {
		add("a ResourceQuota allows limits.%s = %s", name, b.limitQuota)
	}
	if b.requestQuota != nil && request.Cmp(*b.requestQuota) > 0 {
		add("a ResourceQuota allows requests.%s = %s", name, b.requestQuota)
	}
	if len(problems) == 0 {
		return nil
	}
	needed := largerOf(least, request)
	return &EngineFitError{fmt.Sprintf("the engine (wait = false) needs %s of %s at least, but in the namespace %s: raise "+
		"that", needed.String(), name, strings.Join(problems, ", and "))}
}

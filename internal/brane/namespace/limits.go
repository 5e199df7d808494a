package namespace

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// LimitRange contains the limits of containers.
type LimitRange struct {
	Default        corev1.ResourceList // limits of a container without limits
	DefaultRequest corev1.ResourceList // requests of a container without requests
	Max, Min       corev1.ResourceList
}

func (l LimitRange) isEmpty() bool {
	return len(l.Default)+len(l.DefaultRequest)+len(l.Max)+len(l.Min) == 0
}

// toItem returns the limits with the API server's defaults, which makes them comparable: Default defaults to Max, and DefaultRequest to Default, and then
// to Min (SetDefaults_LimitRangeItem in kubernetes/pkg/apis/core/v1/defaults.go).
func (l LimitRange) toItem() corev1.LimitRangeItem {
	item := corev1.LimitRangeItem{
		Type: corev1.LimitTypeContainer, Max: l.Max, Min: l.Min,
		Default: corev1.ResourceList{}, DefaultRequest: corev1.ResourceList{},
	}
	for _, from := range []corev1.ResourceList{l.Max, l.Default} {
		maps.Copy(item.Default, from)
	}
	for _, from := range []corev1.ResourceList{l.Min, item.Default, l.DefaultRequest} {
		maps.Copy(item.DefaultRequest, from)
	}
	return item
}

// limitsOf returns the limits of an item without those that are defaults.
func limitsOf(item corev1.LimitRangeItem) LimitRange {
	l := LimitRange{Max: item.Max, Min: item.Min, Default: maps.Clone(item.Default), DefaultRequest: maps.Clone(item.DefaultRequest)}
	implied := LimitRange{Max: item.Max, Min: item.Min, Default: item.Default}.toItem()
	drop := func(from, implied corev1.ResourceList) {
		maps.DeleteFunc(from, func(name corev1.ResourceName, _ resource.Quantity) bool {
			value, ok := implied[name]
			return ok && value.Cmp(from[name]) == 0
		})
	}
	drop(l.DefaultRequest, implied.DefaultRequest)
	drop(l.Default, item.Max)
	return l
}

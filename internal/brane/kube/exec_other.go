//go:build !unix

package kube

import "os/exec"

// killGroup does nothing: the end of the context kills the command alone.
func killGroup(*exec.Cmd) {}

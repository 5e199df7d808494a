//go:build unix

package kube

import (
	"os/exec"
	"syscall"
)

// killGroup lets the end of the command's context kill the processes that the command has started as well.
func killGroup(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}

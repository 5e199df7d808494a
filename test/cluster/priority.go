package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ahead is the niceness of the control plane. Production clusters run it on dedicated machines; here the containers that a node starts concurrently would
// delay it, and measurements would include that delay.
const ahead = -10

// favour sets the niceness of the session of a program that has just started. If sessions are scheduled as groups, only the niceness of the group matters
// (sched(7), "The autogroup feature"), otherwise that of its processes. Missing permissions and programs that have ended are ignored.
func favour(pid, niceness int) error {
	if niceness == 0 {
		return nil
	}
	err := unix.Setpriority(unix.PRIO_PGRP, pid, niceness)
	if err == nil {
		err = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte(strconv.Itoa(niceness)), 0)
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ahead is the niceness of the control plane. Users' clusters have machines of its own for it; here the containers that a node starts all at once would keep
// waiting what they come from, and measurements would tell of that.
const ahead = -10

// favour gives the session of a program that has just started a niceness. Where sessions are scheduled as groups, only that of the group counts (sched(7),
// "The autogroup feature"), elsewhere only that of its processes. Who may not do so goes without, and that a program has ended is told by who waits for it.
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

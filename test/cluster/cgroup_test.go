package main

import (
	"slices"
	"testing"
)

func TestCgroupMounts(t *testing.T) {
	for name, tt := range map[string]struct {
		mounts string
		want   []string
	}{
		"version 2": {"cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\nproc /proc proc rw 0 0\n", []string{"/sys/fs/cgroup"}},
		"version 1 beside 2": {
			"tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			[]string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"},
		},
		"none": {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cgroupMounts(tt.mounts); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

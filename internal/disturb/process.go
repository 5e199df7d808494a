package disturb

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// FindProvider returns the process ID of the provider that a running CLI has started; 0 if there is none.
func FindProvider(parent int) (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	children := map[int][]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // no process
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue // has ended meanwhile
		}
		// pid (name) state ppid …; the name may hold anything, so count from its end.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		ppid, err := strconv.Atoi(fields[1])
		if err != nil {
			return 0, err
		}
		children[ppid] = append(children[ppid], pid)
	}
	for family := []int{parent}; len(family) > 0; family = slices.Concat(family[1:], children[family[0]]) {
		if exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(family[0]), "exe")); err == nil && strings.HasPrefix(filepath.Base(exe), "terraform-provider-brane") {
			return family[0], nil
		}
	}
	return 0, nil
}

//go:build !unix

package infra

import (
	"io/fs"
	"os"
)

// Only Unix has file owners and groups, and directories that can be synced.

func keepOwner(_ *os.File, _ string, mode fs.FileMode) (fs.FileMode, error) { return mode, nil }

func createLock(string, fs.FileInfo) error { return nil }

func syncDirectory(string) error { return nil }

func isReadOnly(error) bool { return false }

//go:build !unix

package infra

import "os"

// Only Unix has file owners and directories that can be synced.

func keepOwner(*os.File, string) error { return nil }

func syncDirectory(string) error { return nil }

func isReadOnly(error) bool { return false }

//go:build !unix

package infra

import "os"

// Owners and folders that can be synced are Unix'.

func keepOwner(*os.File, string) error { return nil }

func syncDirectory(string) error { return nil }

func isReadOnly(error) bool { return false }

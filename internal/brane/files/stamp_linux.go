package files

import (
	"io/fs"
	"syscall"
)

func stampOf(info fs.FileInfo) Stamp {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Stamp{}
	}
	return Stamp{Inode: stat.Ino, CTime: stat.Ctim.Nano()}
}

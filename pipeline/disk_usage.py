"""Size of files on disk, where hard links share them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DiskUsage:
    """Bytes on disk, with hard-linked files counted once, and how many of them removal frees."""

    bytes: int
    freed: int


def disk_usage(files: Iterable[Path]) -> DiskUsage:
    """Return the size of `files` on disk; a file that no longer exists counts as 0."""
    inodes: dict[tuple[int, int], tuple[int, int]] = {}
    total = freed = 0
    for path in files:
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        inode, size = (status.st_dev, status.st_ino), status.st_blocks * 512
        names, _ = inodes.get(inode, (0, 0))
        inodes[inode] = (names + 1, size)
        if names == 0:
            total += size
        if names + 1 == status.st_nlink:
            freed += size
    return DiskUsage(total, freed)

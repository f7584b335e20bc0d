"""How much of the machine this process may use: cores and main memory."""

from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return how many cores this process may use, as affinity and its container say."""
    import loky

    return int(loky.cpu_count())


def available_memory() -> int:
    """Return the bytes of main memory that this process may still take.

    They are the machine's, or what the limit of a container leaves, if that is less.
    """
    available = int(psutil.virtual_memory().available)
    return min([available, *_left_in_groups(CGROUPS, OWN_GROUPS)])


def _left_in_groups(root: Path, own_groups: Path) -> Iterator[int]:
    """Yield the bytes that each control group of this process, with a limit, leaves.

    See the Linux kernel's documentation: "Control Group v2", and "Memory Resource Controller" for
    version 1. What a file's pages take can be had back, so they count as free.
    """
    try:
        lines = own_groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names = ("memory.max", "memory.current", "inactive_file")
            mounts = [root, root / "unified"]
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            mounts = [root / "memory"]
        else:
            continue
        for mount in mounts:
            yield from _left_up_to(mount, mount / path.strip("/"), names)


def _left_up_to(mount: Path, group: Path, names: tuple[str, str, str]) -> Iterator[int]:
    """Yield what a group and those around it leave; in a container its own is the mount itself."""
    limit_file, usage_file, cached_key = names
    for folder in (group, *group.parents):
        try:
            limit = int((folder / limit_file).read_text())
            usage = int((folder / usage_file).read_text())
            pairs = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
            yield max(limit - usage + int(dict(pairs).get(cached_key, 0)), 0)
        except (OSError, ValueError):
            # No such group, or no limit: "max".
            pass
        if folder == mount:
            return

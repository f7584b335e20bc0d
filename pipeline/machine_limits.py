"""How much of the machine this process may use: cores and main memory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Files:
    """Names of a control group's files in one version of control groups."""

    limits: tuple[str, ...]
    usage: str
    cached: str
    """the key in `memory.stat` of what can be had back"""


# Above `memory.high` the kernel stops no process, but slows it down until it takes less.
_VERSION_2 = _Files(("memory.max", "memory.high"), "memory.current", "inactive_file")
_VERSION_1 = _Files(("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file")


def _left_in_groups(root: Path, own_groups: Path) -> Iterator[int]:
    """Yield the bytes that each control group of this process, with a limit, leaves.

    See the Linux kernel's documentation: "Control Group v2", and "Memory Resource Controller" for
    version 1. What a file's pages take can be had back, so they count as free.
    """
    try:
        # A group's name is any bytes.
        lines = os.fsdecode(own_groups.read_bytes()).splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            files, mounts = _VERSION_2, [root, root / "unified"]
        elif "memory" in controllers.split(","):
            files, mounts = _VERSION_1, [root / "memory"]
        else:
            continue
        for mount in mounts:
            yield from _left_up_to(mount, mount / path.strip("/"), files)


def _left_up_to(mount: Path, group: Path, files: _Files) -> Iterator[int]:
    """Yield what a group and those around it leave; in a container its own is the mount itself."""
    for folder in (group, *group.parents):
        limits = [_number(folder / name) for name in files.limits]
        usage = _number(folder / files.usage)
        if usage is not None:
            used = usage - _cached(folder / "memory.stat", files.cached)
            yield from (max(limit - used, 0) for limit in limits if limit is not None)
        if folder == mount:
            return


def _number(path: Path) -> int | None:
    """Return the number in a file; None where there is no such group or no limit, `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _cached(path: Path, key: str) -> int:
    """Return the bytes of a group that can be had back; 0 where its statistics cannot be read."""
    try:
        pairs = (line.split() for line in path.read_text().splitlines())
        return int(dict(pairs).get(key, 0))
    except (OSError, ValueError):
        return 0

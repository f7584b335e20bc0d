"""What affinity and containers leave of the machine."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.machine_limits import _left_in_groups, available_memory, usable_cores

GIB = 2**30


def write_group(folder: Path, limit: str, usage: int, cached: int, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = {
        2: ("memory.max", "memory.current", "inactive_file"),
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }[version]
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\n")


def left(tmp_path: Path, own: str) -> list[int]:
    groups = tmp_path / "own"
    groups.write_text(own)
    return list(_left_in_groups(tmp_path / "cgroup", groups))


def test_a_group_leaves_its_limit_less_what_is_used_and_cannot_be_had_back(tmp_path: Path) -> None:
    write_group(tmp_path / "cgroup/user/mine", str(4 * GIB), 3 * GIB, GIB)
    write_group(tmp_path / "cgroup/user", str(8 * GIB), 7 * GIB, 0)
    write_group(tmp_path / "cgroup", "max", 9 * GIB, 0)
    assert left(tmp_path, "0::/user/mine\n") == [2 * GIB, GIB]


def test_in_a_container_the_group_is_the_mount(tmp_path: Path) -> None:
    write_group(tmp_path / "cgroup", str(2 * GIB), GIB, 0)
    assert left(tmp_path, "0::/docker/of-the-host\n") == [GIB]


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    write_group(tmp_path / "cgroup/memory/job", str(3 * GIB), GIB, GIB // 2, version=1)
    own = "5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n"
    assert left(tmp_path, own) == [5 * GIB // 2]


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert list(_left_in_groups(tmp_path, tmp_path / "missing")) == []
    assert left(tmp_path, "0::/\n") == []


def test_more_used_than_the_limit_leaves_nothing(tmp_path: Path) -> None:
    write_group(tmp_path / "cgroup", str(GIB), 2 * GIB, 0)
    assert left(tmp_path, "0::/\n") == [0]


def test_the_lower_limit_from_which_the_kernel_slows_processes_down_counts(tmp_path: Path) -> None:
    write_group(tmp_path / "cgroup", "max", GIB, 0)
    (tmp_path / "cgroup/memory.high").write_text(f"{3 * GIB}\n")
    assert left(tmp_path, "0::/\n") == [2 * GIB]
    (tmp_path / "cgroup/memory.max").write_text(f"{4 * GIB}\n")
    assert sorted(left(tmp_path, "0::/\n")) == [2 * GIB, 3 * GIB]


@pytest.mark.parametrize("content", [None, "", "inactive_file\n"])
def test_a_limit_counts_where_statistics_are_missing(content: str | None, tmp_path: Path) -> None:
    write_group(tmp_path / "cgroup", str(2 * GIB), GIB, GIB)
    (tmp_path / "cgroup/memory.stat").unlink()
    if content is not None:
        (tmp_path / "cgroup/memory.stat").write_text(content)
    assert left(tmp_path, "0::/\n") == [GIB]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has names in UTF-8 alone")
def test_a_groups_name_is_any_bytes(tmp_path: Path) -> None:
    own = b"0::/caf\xe9\n"
    write_group(tmp_path / "cgroup" / os.fsdecode(b"caf\xe9"), str(2 * GIB), GIB, 0)
    (tmp_path / "own").write_bytes(own)
    assert list(_left_in_groups(tmp_path / "cgroup", tmp_path / "own")) == [GIB]


def test_available_memory_is_at_most_the_machines() -> None:
    assert 0 < available_memory() <= psutil.virtual_memory().total


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity")
def test_only_cores_of_the_affinity_are_used() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from pipeline.machine_limits import usable_cores; print(usable_cores())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert int(printed) == 1 <= usable_cores()

"""Locks: held by one process, released by death, and a refusal says by whom."""

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.locks import Owner, hold, living_owner, lock_file
from tests.waiting import start_waiting

HOLDER = """
import sys
from pathlib import Path
from pipeline.locks import hold
with hold(Path(sys.argv[1]), "pipeline train"):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(path: Path) -> "subprocess.Popen[str]":
    """Start a process that holds the lock `path` until its standard input ends."""
    process, line = start_waiting(HOLDER, path)
    assert line == "held"
    return process


def refusal(path: Path) -> str:
    with pytest.raises(PipelineError) as refused, hold(path, "pipeline resize"):
        pass
    return str(refused.value)


def write_record(path: Path, owner: Owner) -> None:
    path.with_name(f"{path.name}.json").write_text(json.dumps(asdict(owner)))


def test_a_refusal_names_the_other_process(tmp_path: Path) -> None:
    path = lock_file(tmp_path, "train")
    holder = start_holder(path)
    found = refusal(path)
    holder.communicate()
    pattern = (
        r"pipeline train is running already \(process (\d+), since \d\d:\d\d\); "
        r"wait for its end, or stop it: kill (\d+)"
    )
    match = re.fullmatch(f"{re.escape(str(path))}: {pattern}", found)
    assert match is not None, found
    assert match.groups() == (str(holder.pid),) * 2
    assert living_owner(path) is None
    with hold(path, "pipeline resize"):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    holder = start_holder(path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert path.with_name("a.lock.json").exists()
    assert living_owner(path) is None
    with hold(path, "pipeline resize"):
        owner = living_owner(path)
        assert owner is not None
        assert (owner.pid, owner.command) == (os.getpid(), "pipeline resize")


def test_a_record_of_a_process_that_has_ended_is_not_believed(tmp_path: Path) -> None:
    """Its number may be another process's by now."""
    path = tmp_path / "a.lock"
    with hold(path, "pipeline train"):
        owner = living_owner(path)
        assert owner is not None
        write_record(path, replace(owner, created=owner.created - 5))
        found = refusal(path)
    assert found == f"{path}: another process holds it; wait for its end, or stop it"


def test_a_process_of_another_machine_is_named_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with hold(path, "pipeline train"):
        write_record(path, Owner(12, 0, "elsewhere", "pipeline train", 0))
        assert re.search(
            r"running already \(process 12 on elsewhere, since \d{4}-\d\d-\d\d \d\d:\d\d\); "
            r"wait for its end, or stop it there$",
            refusal(path),
        )


def test_a_link_to_a_disk_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("/absent/data")
    found = refusal(lock_file(tmp_path / "data", "scrape"))
    assert found == (
        f"{tmp_path / 'data'}: is a link to /absent/data, which is not there; mount its disk"
    )


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    found = refusal(lock_file(tmp_path / "data", "scrape"))
    assert found == f"{tmp_path / 'data'}: is a file, and a folder is needed there; move it away"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_no_locks_are_the_record_is_believed_with_a_warning(
    tmp_path: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def flock(descriptor: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path / "a.lock"
    with hold(path, "pipeline train"):
        assert f"(process {os.getpid()}, since " in refusal(path)
    assert living_owner(path) is None
    (message,) = caplog.messages
    assert message.startswith(f"{path}: its file system cannot lock files (")
    write_record(path, Owner(12, 0, "elsewhere", "pipeline train", 0))
    assert refusal(path).endswith(f"stop it there; if it is gone, remove {path}.json")


def test_a_process_of_another_container_cannot_be_seen_from_here(tmp_path: Path) -> None:
    """Containers may share a host's name and a folder, and count their processes each from 1."""
    path = tmp_path / "a.lock"
    with hold(path, "pipeline train"):
        owner = living_owner(path)
    assert owner is not None
    write_record(path, replace(owner, pid=2**22 + 1))
    assert living_owner(path) is None
    write_record(path, replace(owner, pid=2**22 + 1, namespace="pid:[1]"))
    assert living_owner(path) is not None


def test_what_fails_inside_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), hold(tmp_path / "a.lock", "pipeline train"):
        raise OSError(errno.ENOLCK, "disk")
    with hold(tmp_path / "a.lock", "pipeline train"):
        pass

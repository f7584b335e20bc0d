"""The cache of shards: what it removes, and what it does not believe."""

import io
import tarfile
from pathlib import Path

import pytest

from pipeline.resizing.shard_cache import ShardCache


def test_only_folders_are_pruned(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"x")
    ShardCache(tmp_path, "mine").prune()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".DS_Store", "mine"]


def test_a_length_that_no_file_has_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    header = tarfile.TarInfo("1.webp")
    header.size, header.type = 2**80, tarfile.XHDTYPE
    block = header.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "mine/shard.tar").write_bytes(block + bytes(1024))
    assert not ShardCache(tmp_path, "mine").subset(["0" * 64]).images


@pytest.mark.parametrize("text", [b"[" * 200_000, b"7", b"null", b'{"id": []}', b"\xff", b"{"])
def test_facts_that_no_run_wrote_are_no_images(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with tarfile.open(tmp_path / "mine/shard.tar", "w") as shard:
        for name, data in (("1.webp", b"RIFF"), ("1.json", text)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    assert not ShardCache(tmp_path, "mine").subset(["0" * 64]).images

"""Verification: which damaged files are removed from DVC's cache, and which stay."""

import hashlib
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.progress import Silent
from pipeline.scraping.verification import check_files


def cache_object(cache: Path, content: bytes) -> Path:
    """A file as DVC's cache has it: named by its md5."""
    name = hashlib.md5(content, usedforsecurity=False).hexdigest()
    path = cache / name[:2] / name[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def store_one_file(store: Path) -> None:
    name = hashlib.sha256(b"stored").hexdigest()
    path = store / "files" / name[:2] / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"stored")


def test_a_cached_file_is_dropped_by_its_own_name_alone(tmp_path: Path) -> None:
    whole, rotten = (cache_object(tmp_path / "cache", text) for text in (b"whole", b"rotten"))
    listing = whole.rename(whole.with_name(f"{whole.name}.dir"))
    rotten.write_bytes(b"rotted")
    store_one_file(tmp_path / "store")
    with pytest.raises(PipelineError, match=f"1 of 3 files .*: {rotten}; 1 removed "):
        check_files(tmp_path / "store", tmp_path / "raw", cached=[listing, rotten])
    assert listing.exists()
    assert not rotten.exists()


class Replacing(Silent):
    """Replaces the damaged file once all files were read, as another program may."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content

    def finish(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_bytes(self._content)
        new.replace(self._path)


def test_a_file_that_was_replaced_meanwhile_is_not_dropped(tmp_path: Path) -> None:
    path = cache_object(tmp_path / "cache", b"whole")
    path.write_bytes(b"rotten")
    store_one_file(tmp_path / "store")
    progress = Replacing(path, b"whole")
    with pytest.raises(PipelineError, match="1 of 2 files are damaged"):
        check_files(tmp_path / "store", tmp_path / "raw", progress, cached=[path])
    assert path.read_bytes() == b"whole"

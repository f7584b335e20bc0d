"""Find the raw set of an earlier run: at its path, or in DVC's cache.

DVC removes a stage's outputs before it runs the stage, and a clone that pulled them has no store.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.images.records import POSTS_FILE
from pipeline.scraping.previous_sets import FileLocator
from pipeline.scraping.verification import is_intact_object

_LOCK = Path("dvc.lock")


def find_previous_sets(raw: Path) -> Iterator[FileLocator]:
    """Yield the set in `raw`, and the one that DVC tracks under this path."""
    yield lambda name: raw / name
    yield from find_tracked_set(raw)


def find_tracked_set(raw: Path) -> Iterator[FileLocator]:
    """Yield the set that DVC's cache holds for `raw` by `dvc.lock`, if there is one.

    Nothing where it was never pulled, or where its list of files or of posts is damaged.
    """
    if (tracked := _read_tracked_folder(raw)) is None:
        return
    posts = tracked.files.get(POSTS_FILE)
    if posts is not None and is_intact_object(posts):
        yield tracked.files.get


def list_tracked_objects(raw: Path) -> Iterator[Path]:
    """Yield the paths in DVC's cache for `raw`, its list of files first; some may not exist."""
    if (tracked := _read_tracked_folder(raw)) is not None:
        yield tracked.listing
        yield from dict.fromkeys(tracked.files.values())


@dataclass(frozen=True)
class _TrackedFolder:
    """Paths in DVC's cache for a folder: of its list of files, and of the files by name.

    `files` is empty where the list is damaged or missing.
    """

    listing: Path
    files: dict[str, Path]


def _read_tracked_folder(raw: Path) -> _TrackedFolder | None:
    if (folder := _locked_md5(raw)) is None:
        return None
    # Importing DVC takes most of a second, and only a run that lacks files needs it.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            cache = repo.cache.local
            listing = Path(cache.oid_to_path(folder))
            if not is_intact_object(listing):
                return _TrackedFolder(listing, {})
            entries = json.loads(listing.read_text(encoding="utf-8"))
        files = {entry["relpath"]: Path(cache.oid_to_path(entry["md5"])) for entry in entries}
    except (DvcException, FileNotFoundError, ValueError, LookupError, TypeError):
        # No repository, or a set that was never pulled.
        return None
    return _TrackedFolder(listing, files)


def _locked_md5(raw: Path) -> str | None:
    """Return the md5 of `raw` in `dvc.lock`."""
    try:
        locked: Any = YAML(typ="safe").load(_LOCK)
        outs = [out for stage in locked["stages"].values() for out in stage.get("outs", [])]
        return next((out["md5"] for out in outs if out["path"] == raw.as_posix()), None)
    except (FileNotFoundError, YAMLError, LookupError, TypeError, AttributeError):
        return None

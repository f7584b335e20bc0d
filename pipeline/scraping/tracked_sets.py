"""Where the set of an earlier run may still be: in its place, or in DVC's cache.

DVC removes a stage's outputs before it runs the stage, and a clone that pulled them has no store.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.scraping.adoption import Locate
from pipeline.scraping.raw_set import POSTS_FILE
from pipeline.scraping.verification import is_sound_object

_LOCK = Path("dvc.lock")


def earlier_sets(raw: Path) -> Iterator[Locate]:
    """The set in `raw`, and the one that DVC knows under this path."""
    yield lambda name: raw / name
    yield from tracked_set(raw)


def tracked_set(raw: Path) -> Iterator[Locate]:
    """The set that DVC's cache has for `raw` by `dvc.lock`; none where it was never pulled.

    None either where its list of files or of posts is damaged.
    """
    if (tracked := _tracked(raw)) is None:
        return
    posts = tracked.files.get(POSTS_FILE)
    if posts is not None and is_sound_object(posts):
        yield partial(_found, tracked.files)


def tracked_objects(raw: Path) -> Iterator[Path]:
    """All files that DVC's cache has for `raw`, its list of files first; not all need be there."""
    if (tracked := _tracked(raw)) is not None:
        yield tracked.listing
        yield from dict.fromkeys(tracked.files.values())


@dataclass(frozen=True)
class _Tracked:
    """What DVC's cache has for a folder: its list of files, and these by their names.

    There are none where the list is damaged or missing.
    """

    listing: Path
    files: dict[str, Path]


def _tracked(raw: Path) -> _Tracked | None:
    if (folder := _locked_folder(raw)) is None:
        return None
    # It takes most of a second, which only a run that lacks files has to spend.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            cache = repo.cache.local
            listing = Path(cache.oid_to_path(folder))
            if not is_sound_object(listing):
                return _Tracked(listing, {})
            entries = json.loads(listing.read_text(encoding="utf-8"))
        files = {entry["relpath"]: Path(cache.oid_to_path(entry["md5"])) for entry in entries}
    except (DvcException, FileNotFoundError, ValueError, LookupError, TypeError):
        # No repository, or a set that was never pulled.
        return None
    return _Tracked(listing, files)


def _found(paths: dict[str, Path], name: str) -> Path | None:
    return paths.get(name)


def _locked_folder(raw: Path) -> str | None:
    """The name that `dvc.lock` has for the content of `raw`."""
    try:
        locked: Any = YAML(typ="safe").load(_LOCK)
        outs = [out for stage in locked["stages"].values() for out in stage.get("outs", [])]
        return next((out["md5"] for out in outs if out["path"] == raw.as_posix()), None)
    except (FileNotFoundError, YAMLError, LookupError, TypeError, AttributeError):
        return None

"""Where the set of an earlier run may still be: in its place, or in DVC's cache.

DVC removes a stage's outputs before it runs the stage, and a clone that pulled them has no store.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.booru.adoption import Locate

_LOCK = Path("dvc.lock")


def earlier_sets(raw: Path) -> Iterator[Locate]:
    """The set in `raw`, and the one that DVC knows under this path."""
    yield lambda name: raw / name
    yield from tracked_set(raw)


def tracked_set(raw: Path) -> Iterator[Locate]:
    """The set that DVC's cache has for `raw` by `dvc.lock`; none where it was never pulled."""
    if (folder := _locked_folder(raw)) is None:
        return
    # It takes most of a second, which only a run that lacks files has to spend.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            cache = repo.cache.local
            entries = json.loads(Path(cache.oid_to_path(folder)).read_text(encoding="utf-8"))
        paths = {entry["relpath"]: Path(cache.oid_to_path(entry["md5"])) for entry in entries}
    except (DvcException, FileNotFoundError, ValueError, LookupError, TypeError):
        # No repository, or a set that was never pulled.
        return
    yield partial(_found, paths)


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

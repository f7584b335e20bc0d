"""Replace a set within its folder, where that cannot be renamed: a mount point, or an image's.

The new set is complete in a hidden folder before the first file of the old one goes, and its list
comes last. A replacement that was killed is finished by the next one.
"""

import errno
import json
import shutil
from pathlib import Path

from pipeline.files import sync_folder
from pipeline.images.records import POSTS_FILE

# A mount point is busy; a folder in a lower layer of an overlay would have to be copied.
_FIXED = (errno.EBUSY, errno.EXDEV)


def is_fixed(folder: Path, other: Path) -> bool:
    """Rename a folder to `other` and back; return whether it is one that cannot be renamed.

    Raises `OSError` for other faults.
    """
    try:
        folder.replace(other)
    except OSError as error:
        if error.errno in _FIXED:
            return True
        raise
    other.replace(folder)
    return False


def new_folder(folder: Path) -> Path:
    """Return the path in `folder` where its new set is to be written."""
    return folder / ".new"


def is_half_replaced(folder: Path) -> bool:
    """Return whether a replacement within `folder` was begun and not finished."""
    return _complete_list(folder).exists()


def replace_within(folder: Path) -> None:
    """Replace the set in `folder` by the complete one in its `new_folder`. Raises `OSError`."""
    # No folder is renamed: on overlays that may be impossible too.
    (new_folder(folder) / POSTS_FILE).replace(_complete_list(folder))
    sync_folder(folder)
    finish_replacement(folder)


def finish_replacement(folder: Path) -> None:
    """Move a new set that is complete to its path, if there is one. Raises `OSError`.

    Of other files only those go that the old set's list names.
    """
    new, posts = new_folder(folder), _complete_list(folder)
    if posts.exists():
        for name in listed_files(folder / POSTS_FILE) - listed_files(posts):
            (folder / name).unlink(missing_ok=True)
        for path in list(new.glob("*")):
            path.replace(folder / path.name)
        sync_folder(folder)
        posts.replace(folder / POSTS_FILE)
        sync_folder(folder)
    if new.exists():
        shutil.rmtree(new)


def _complete_list(folder: Path) -> Path:
    """Return the path of a new set's list from its completion until the set is in place."""
    return folder / f".{POSTS_FILE}.new"


def listed_files(posts: Path) -> set[str]:
    """Return the names of a set's files, as far as its list can be read."""
    names: set[str] = set()
    try:
        for line in posts.read_text(encoding="utf-8").splitlines():
            names.add(Path(json.loads(line)["file"]).name)
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        pass
    return names - {"", POSTS_FILE}

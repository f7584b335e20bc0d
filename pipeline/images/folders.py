"""The pictures of a folder, and what in it is left out."""

import errno
import os
import stat
import unicodedata
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import some_of
from pipeline.images.recognition import read_head, readable_format, unread_format
from pipeline.images.suffixes import PICTURE_SUFFIXES

# Control signs, and separators of lines and paragraphs.
_UNPRINTABLE = ("Cc", "Zl", "Zp")


@dataclass
class FolderContents:
    """What a folder and those below it hold; paths begin with the folder."""

    folder: Path
    results: Path
    """the folder of its results"""
    pictures: list[Path] = field(default_factory=list)
    """files that hold pictures, are called so, or cannot be read"""
    left_out: dict[str, list[Path]] = field(default_factory=dict)
    """by reason"""
    unreadable: list[str] = field(default_factory=list)
    """folders that cannot be read, and why"""
    unread: int = 0
    """pictures that are left out, as their format is not read"""
    hidden: int = 0
    others: int = 0
    """files that are no pictures"""

    def left_out_lines(self) -> list[str]:
        """Return what was left out, one line for each reason."""
        return [
            f"{path_text(self.folder)}: left out, {reason}: "
            + some_of([path_text(path.relative_to(self.folder)) for path in paths])
            for reason, paths in self.left_out.items()
        ]

    def count_lines(self) -> list[str]:
        """Return the line that counts what else was left out; none where that is nothing."""
        counts = {"without a picture": self.others, "hidden": self.hidden}
        parts = [f"{count} {what}" for what, count in counts.items() if count]
        return [f"{path_text(self.folder)}: files left out: {', '.join(parts)}"] if parts else []

    def empty_lines(self) -> list[str]:
        """Return the line that says that no picture remains; none where one may."""
        if self.pictures or self.unreadable:
            return []
        return [f"{path_text(self.folder)}: holds no picture that can be read"]


def path_text(path: Path) -> str:
    """Return a path as printable text that any file can hold.

    Bytes that are no UTF-8, and signs that end lines or are none, are escaped as `\\x83`.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in _UNPRINTABLE
        else letter
        for letter in text
    )


def find_pictures(
    folder: Path, results: Path, other_results: Collection[Path] = ()
) -> FolderContents:
    """Return what `folder` holds, without hidden files and what is in the folder `results`.

    Of `other_results`, folders too, those below `folder` are left out and named. Files are
    recognised by content and by suffix. Linked folders are followed, each real folder
    once.
    """
    contents = FolderContents(folder, results)
    real_results, top = (Path(os.path.realpath(path)) for path in (results, folder))
    others = {Path(os.path.realpath(path)) for path in other_results} - {top}
    visited: set[Path] = set()
    # Links come last, so that a picture has its real path wherever there are two.
    real_folders, links = deque([folder]), deque[Path]()
    while real_folders or links:
        current = real_folders.popleft() if real_folders else links.popleft()
        real = Path(os.path.realpath(current))
        if real == real_results:
            continue
        if real in others or others.intersection(real.parents) - {*top.parents}:
            _leave_out(contents, "as the project's results", current)
            continue
        # A link to a folder above leads to the folder itself.
        if real in visited or (real != top and real in top.parents):
            _leave_out(contents, "as their pictures are taken already", current)
            continue
        visited.add(real)
        try:
            entries = sorted(current.iterdir())
        except OSError as error:
            contents.unreadable.append(f"{path_text(current)}: cannot be read: {error.strerror}")
            continue
        for path in entries:
            if path.name.startswith("."):
                contents.hidden += 1
            elif is_folder(path):
                (links if path.is_symlink() else real_folders).append(path)
            else:
                _classify(contents, path)
    contents.pictures.sort()
    return contents


def file_mode(path: Path) -> int:
    """Return the mode of what is at a path, as of `stat`; 0 where that is nothing, or unknown."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder, as far as that can be known."""
    return stat.S_ISDIR(file_mode(path))


def _classify(contents: FolderContents, path: Path) -> None:
    is_named_so = path.suffix.lower() in PICTURE_SUFFIXES
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            _leave_out(contents, "as neither files nor folders", path)
            return
        head = read_head(path)
    except OSError as error:
        leads_nowhere = error.errno in (errno.ENOENT, errno.ELOOP)
        if is_named_so or not leads_nowhere:
            # What it holds is unknown; whoever reads it will say why.
            contents.pictures.append(path)
        else:
            contents.others += 1
        return
    if (unread := unread_format(path.suffix, head)) is not None and not is_named_so:
        contents.unread += 1
        _leave_out(contents, f"as {unread} is not read", path)
    elif is_named_so or readable_format(head) is not None:
        contents.pictures.append(path)
    else:
        contents.others += 1


def _leave_out(contents: FolderContents, reason: str, path: Path) -> None:
    contents.left_out.setdefault(reason, []).append(path)

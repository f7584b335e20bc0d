"""Where the measured pictures come from, by their addresses and the evaluation's params."""

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.evaluation.pairs import MeasuredImage
from pipeline.params import EvaluateParams

# Anchored at the end of the host: `http://localhost.example` is another's.
LOOPBACK_ADDRESS = re.compile(r"https?://(127(\.\d+){3}|localhost|\[::1\])(:\d+)?(/|$)")


@dataclass(frozen=True)
class Origin:
    """A site or folder, and how many of the pictures come from it."""

    name: str
    images: int


def measured_set(params: EvaluateParams) -> str:
    """Return the name of the set that is measured, a split or a folder."""
    if params.hr_folder is None:
        return f"the {params.split} split"
    return f"the folder {shown_folder(params.hr_folder)}"


def shown_folder(path: str) -> str:
    """Return a folder's path in the project as it is; of one elsewhere its name alone."""
    pure = Path(path)
    if pure.is_absolute() or ".." in pure.parts:
        return Path(path).resolve().name
    return pure.as_posix()


def origins_of(images: Sequence[MeasuredImage]) -> list[Origin]:
    """Return the sites and folders of `images`, the largest first."""
    folder = _common_folder([image.address for image in images if _is_file(image.address)])
    counts = Counter(_origin(image.address, folder) for image in images)
    return [Origin(*pair) for pair in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]


def web_link(address: str) -> str:
    """Return the address if it is http(s), else nothing: others wrote it.

    Nor if it is of this computer, where the embedded booru has ended since.
    """
    is_web = address.startswith(("https://", "http://"))
    return address if is_web and not LOOPBACK_ADDRESS.match(address) else ""


def source_link(image: MeasuredImage) -> str:
    """Return the first address on the web that the post names as the picture's source."""
    return next((link for word in image.source.split() if (link := web_link(word))), "")


def file_name(address: str) -> str:
    """Return the name of a file of the user's own, else nothing."""
    return posixpath.basename(unquote(urlsplit(address).path)) if _is_file(address) else ""


def _is_file(address: str) -> bool:
    return address.startswith("file:")


def _origin(address: str, folder: str) -> str:
    if LOOPBACK_ADDRESS.match(address):
        return "a booru on this computer"
    if _is_file(address):
        return f"the folder {folder}" if folder else "several folders"
    try:
        host = urlsplit(address).hostname if web_link(address) else None
    except ValueError:
        host = None
    return host or "an unknown place"


def _common_folder(addresses: Sequence[str]) -> str:
    """Return the name of the innermost folder of all files, without the path of this computer.

    Empty if they have nothing in common but a root.
    """
    # All absolute, hosts and drives too (`file://host/a`, `file:///C:/a`): others cannot be mixed.
    paths = ["/" + unquote(address.removeprefix("file:")).lstrip("/") for address in addresses]
    parents = [posixpath.dirname(path) for path in paths]
    return posixpath.basename(posixpath.commonpath(parents)) if parents else ""

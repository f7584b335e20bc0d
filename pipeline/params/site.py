"""`scrape.site`: the address of a site, or a folder of pictures as a path or a file:// address."""

import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

from pipeline.errors import UsageError

_WEB = re.compile(r"https?://[^/\s]+(/\S*)?", re.IGNORECASE)
_WITH_USER = re.compile(r"https?://[^/?#]*@", re.IGNORECASE)
_FILE = re.compile(r"file:(?://([^/]*))?(.*)", re.IGNORECASE | re.DOTALL)
_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|https?:", re.IGNORECASE)
_WINDOWS = re.compile(r"/*([A-Za-z]:[\\/]|\\\\)")
_UNDECODED = re.compile("[\udc80-\udcff]")
# Pages of Gelbooru and Danbooru sites.
_PAGE = re.compile(r"(?<![/:])/+(index\.php|posts(/[0-9]*)?(\.json)?)?$")


def site_problem(site: str) -> str | None:
    """Return what is wrong with the form of `site`; None where it may be a site or a folder."""
    if not site.strip() or "\0" in site:
        return "must be the address of a site, https://HOST, or the path of a folder"
    if _WITH_USER.match(site):
        return "an address has no user and password; a site's key is set by PIPELINE_API_KEY"
    if _WEB.fullmatch(site) or is_folder(site):
        return None
    return f"{site!r} is no address of a site, https://HOST, and no path of a folder"


def is_folder(site: str) -> bool:
    """Return whether `site` names a folder rather than a site on the web."""
    return _FILE.match(site) is not None or _OTHER_SCHEME.match(site) is None


def as_text(site: str) -> str:
    """Return `site` as text; bytes of a path that are none are escaped, as in a file:// address."""
    if not _UNDECODED.search(site):
        return site
    address = site if _FILE.match(site) else "file:" + site.replace("%", "%25")
    return _UNDECODED.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", address)


def site_address(address: str) -> str:
    """Return the address before `/index.php` or `/posts`, its scheme in lower case."""
    base = _PAGE.sub("", re.split(r"[?#]", address, maxsplit=1)[0])
    scheme, separator, rest = base.partition("://")
    return f"{scheme.lower()}{separator}{rest}"


def search_in(address: str) -> list[str]:
    """Return the tags that an address searches for; none where it lists all posts."""
    try:
        query = parse_qs(urlsplit(address).query)
    except ValueError:
        return []
    return [tag for tags in query.get("tags", []) for tag in tags.split() if tag != "all"]


def folder_of(site: str, project: Path = Path()) -> Path:
    """Return the folder that `site` names, for which `is_folder` is true; paths begin at `project`.

    Of a file:// address every sign is part of the path: `#` and `?` too, and `%` where a folder
    has that very name. Raises `UsageError` where the folder does not exist, or may be one of two.
    """
    address = _FILE.fullmatch(site)
    host, rest = address.groups() if address else (None, site)
    if host not in (None, "", "localhost"):
        raise UsageError(
            f"scrape.site: {site!r} names another computer; write file:///FOLDER, or the path alone"
        )
    literal = _path(rest.encode("utf-8", "surrogateescape"), project)
    paths = [_path(unquote_to_bytes(rest), project), literal] if address else [literal]
    folders = [path for path in dict.fromkeys(paths) if _is_folder(path)]
    if len(folders) > 1:
        raise UsageError(
            f"scrape.site: {site!r} may be {folders[0]} or {folders[1]}; write the path alone, "
            "without file://"
        )
    if not folders:
        name = str(paths[0]) if str(paths[0]).isprintable() else ascii(str(paths[0]))
        problem = "is a file" if _exists(paths[0]) else "no such folder"
        raise UsageError(f"scrape.site: {name}: {problem}; {_advice(rest)}")
    return folders[0]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _path(name: bytes, project: Path) -> Path:
    path = Path(os.fsdecode(name))
    # A folder may be called as the home of a user that does not exist.
    with suppress(RuntimeError):
        path = path.expanduser()
    return project / path


def _advice(path: str) -> str:
    if os.name != "nt" and _WINDOWS.match(path):
        return "a path of Windows has another form here, as /home/me/pictures"
    return "name one that holds pictures; the address of a site begins with https://"

"""`docs/architecture.md` against the packages: no module is forgotten there."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
# Their modules are alike, and each says by its name what it is.
NAMED_AS_A_WHOLE = (
    "pipeline/drawings",
    "pipeline/images/damage",
    "pipeline/networks/discriminators",
    "pipeline/networks/generators",
    "pipeline/networks/perceptual",
)


def modules() -> Iterator[Path]:
    """Every module of the program, relative to the repository."""
    for package in ("pipeline", "stages"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "__init__.py":
                yield path.relative_to(ROOT)


def test_every_module_is_named() -> None:
    unnamed = [
        path.as_posix()
        for path in modules()
        if not path.as_posix().startswith(tuple(f"{name}/" for name in NAMED_AS_A_WHOLE))
        and not re.search(rf"\b{path.stem}\b", PAGE)
    ]
    assert unnamed == []


def test_every_package_is_named() -> None:
    packages = {path.parent for path in modules()}
    assert [path.as_posix() for path in packages if f"{path.name}/" not in PAGE] == []


def test_every_module_and_page_that_is_named_exists() -> None:
    """They are named by their path, or by the end of it."""
    folders = ("pipeline", "stages", "tests", "docs")
    paths = {path.as_posix() for name in folders for path in (ROOT / name).rglob("*.*")}
    names = {*re.findall(r"`([\w/]+\.py)`", PAGE), *re.findall(r"`([\w/.]+\.(?:md|j2))`", PAGE)}
    written = {name for name in names if "NAME" not in name and "STAGE" not in name}
    missing = [name for name in written if not any(one.endswith(f"/{name}") for one in paths)]
    assert [name for name in missing if not (ROOT / name).exists()] == []

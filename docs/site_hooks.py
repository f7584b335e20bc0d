"""What `mkdocs build` does beside MkDocs: files outside docs/ are pages, and their links work."""

import posixpath
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
CARDS = "pipeline/shipped"
LINK = re.compile(r"(\]\(|^\[[^\]]+\]: )([^)\s#:]+)", re.MULTILINE)


def pages() -> Iterator[tuple[str, str]]:
    """Yield each file outside docs/ that is a page, and its path in the site."""
    yield from PAGES.items()
    for card in sorted((ROOT / CARDS).glob("*.md")):
        yield f"{CARDS}/{card.name}", f"results/cards/{card.name}"


def on_config(config: Any) -> Any:
    """Take the repository's and the site's address from pyproject.toml, where they are set."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    urls = project.get("urls", {})
    if "Repository" in urls:
        config.repo_url = urls["Repository"]
        config.repo_name = "Repository"
    if "Documentation" in urls:
        config.site_url = urls["Documentation"]
    return config


def on_files(files: Any, config: Any) -> None:
    """Add those files to the site."""
    for source, uri in pages():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return a page with links that are right in the repository made right in the site."""
    uri_of = dict(pages())
    source_of = {uri: source for source, uri in uri_of.items()}
    uri = page.file.src_uri
    folder = posixpath.dirname(source_of.get(uri, f"docs/{uri}"))

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        target_uri = uri_of.get(target, target.removeprefix("docs/"))
        if target_uri == target:
            return match[0]
        return match[1] + posixpath.relpath(target_uri, posixpath.dirname(uri))

    return LINK.sub(link, markdown)

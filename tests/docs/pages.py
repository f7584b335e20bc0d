"""The pages of the documentation, and the fenced blocks in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "stages/project_readme.md")),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("pipeline/shipped/*.md"),
    ]
)
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, `PAGE:LINE`, and its text without indentation."""

    location: str
    text: str


def blocks(language: str) -> Iterator[Block]:
    """Every block of one language."""
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(page):
            indent, name, text = match.groups()
            if name == language:
                line = page.count("\n", 0, match.start(3)) + 1
                name = path.relative_to(ROOT).as_posix()
                yield Block(f"{name}:{line}", re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))

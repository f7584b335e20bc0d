"""Write the files that are made from schema and commands: `python -m stages.sync [--check]`.

`--check` writes nothing, and fails where a file differs or `params.yaml` holds no default.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.files import write_text
from pipeline.params import Params
from pipeline.params.file import load_params
from pipeline.params.reference import params_page
from pipeline.params.schema import schema_text
from pipeline.params.text import params_text
from stages.program import COMMANDS, STAGES
from stages.reference import commands_page, degradation_page
from stages.runner import PARAMS_FILE

SCHEMA_FILE = Path("params.schema.json")
REFERENCE = Path("docs/reference")


def contents(params: Params) -> Iterator[tuple[Path, str]]:
    """Yield each file with its text, for a project of `params`."""
    yield PARAMS_FILE, params_text(params)
    yield SCHEMA_FILE, schema_text()
    yield REFERENCE / "params.md", params_page()
    yield REFERENCE / "degradation.md", degradation_page()
    yield REFERENCE / "commands.md", commands_page(STAGES, COMMANDS)


def main() -> None:
    """Write the files, or check them."""
    if sys.argv[1:] == ["--check"]:
        stale = [str(path) for path, text in contents(Params()) if _read(path) != text]
        if stale:
            sys.exit(f"{', '.join(stale)}: not as the code has it; run make sync")
        return
    if sys.argv[1:]:
        sys.exit(f"usage: {__doc__}")
    try:
        params = load_params(PARAMS_FILE)
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    for path, text in contents(params):
        if path == PARAMS_FILE:
            _print_removed_comments(_read(path), text)
        write_text(path, text)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _print_removed_comments(old: str, new: str) -> None:
    """Print the comments of a params file that the new text lacks: some may be the user's own."""
    kept = {line.strip() for line in new.splitlines()}
    for line in map(str.strip, old.splitlines()):
        if line.startswith("#") and line not in kept:
            print(f"{PARAMS_FILE}: removed the comment {line}", file=sys.stderr)


if __name__ == "__main__":
    main()

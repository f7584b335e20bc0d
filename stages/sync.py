"""Write the files that are made from schema and commands: `python -m stages.sync [--check]`.

`--check` writes nothing, and fails where a file differs or `params.yaml` holds no default.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.files import write_text
from pipeline.params import Params
from pipeline.params.file import load_params
from pipeline.params.reference import params_page
from pipeline.params.schema import schema_text
from pipeline.params.text import params_text
from stages.app import COMMANDS, STAGES
from stages.reference import commands_page
from stages.runner import PARAMS_FILE

SCHEMA_FILE = Path("params.schema.json")
REFERENCE = Path("docs/reference")


def contents(params: Params) -> Iterator[tuple[Path, str]]:
    """Yield each file with its text, for a project of `params`."""
    yield PARAMS_FILE, params_text(params)
    yield SCHEMA_FILE, schema_text()
    yield REFERENCE / "params.md", params_page()
    yield REFERENCE / "commands.md", commands_page(STAGES, COMMANDS)


def main() -> None:
    """Write the files, or check them."""
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(f"usage: {__doc__}")
    is_check = bool(sys.argv[1:])
    stale = []
    for path, text in contents(Params() if is_check else load_params(PARAMS_FILE)):
        if is_check and not (path.is_file() and path.read_text(encoding="utf-8") == text):
            stale.append(str(path))
        elif not is_check:
            write_text(path, text)
    if stale:
        sys.exit(f"{', '.join(stale)}: not as the code has it; run make sync")


if __name__ == "__main__":
    main()

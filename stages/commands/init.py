"""`pipeline init`: a project of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from stages.project import check_is_new, create_project


def init(
    folder: Annotated[Path, typer.Argument(help="new or empty folder, outside a git repository")],
) -> None:
    """Create a project: params.yaml, dvc.yaml, a git and DVC repository, and a README.

    The installed program runs its stages, again where a new version would give another result.
    """
    check_is_new(folder)
    create_project(folder, {}, "A new project")
    print(f"{folder}: a new project. Set scrape.contact in params.yaml, then:")
    print(f"  cd {folder}\n  dvc repro")

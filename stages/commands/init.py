"""`pipeline init`: a project of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError
from stages.project import SETTINGS_OF_PAIRS, check_is_new, create_project, update_project


def init(
    folder: Annotated[Path, typer.Argument(help="new or empty folder, outside a git repository")],
    update: Annotated[
        bool,
        typer.Option("--update", help="bring dvc.yaml and the like of a project to this version"),
    ] = False,
    pairs: Annotated[
        bool,
        typer.Option("--pairs", help="for HR and LR images of your own, without scraping"),
    ] = False,
) -> None:
    """Create a project: params.yaml, dvc.yaml, a git and DVC repository, and a README.

    The installed program runs its stages, again where a new version would give another result.
    After a new version is installed, --update replaces what a project has from the program; its
    params, data and models stay, and git shows what changed. With --pairs it trains on folders of
    HR images, and of LR images beside them.
    """
    if update and pairs:
        raise UsageError("--pairs: a project stays what it is; leave it out with --update")
    if update:
        changed = update_project(folder)
        print(f"{folder}: {', '.join(changed) or 'nothing'} changed")
        return
    check_is_new(folder)
    if pairs:
        create_project(folder, SETTINGS_OF_PAIRS, "A new project", of_pairs=True)
        print(f"{folder}: a new project. Its README.md says where your images belong, then:")
        print(f"  cd {folder}\n  dvc repro")
        return
    create_project(folder, {}, "A new project")
    print(
        f"{folder}: a new project. Set scrape.contact in params.yaml, or for pictures of your own"
    )
    print("scrape.site to their folder and manifest.min_count to fewer than they are, then:")
    print(f"  cd {folder}\n  dvc repro")

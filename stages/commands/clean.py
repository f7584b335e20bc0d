"""`pipeline clean`: list and remove the files that runs keep for later ones."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.kept_work import KeptFiles

NAME_WIDTH, SIZE_WIDTH = 12, 12
INDENT = " " * (NAME_WIDTH + SIZE_WIDTH + 2)


def clean(
    remove: Annotated[
        str | None,
        typer.Option(
            help="remove these: kinds or paths as listed, with commas between them, or all",
            metavar="KIND|PATH,...",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the files that runs keep for later ones, with their size; remove those in --remove.

    Files that a process uses are never removed. Results of stages are DVC's: see `dvc gc`.
    """
    from pipeline.kept_work import choose, list_kept
    from pipeline.kept_work import remove as remove_kept

    kept = list_kept()
    if remove is None:
        _print_list(kept)
        return
    names = [name.strip() for name in remove.split(",") if name.strip()]
    removals = [remove_kept(one) for one in choose(kept, names)]
    for removal in removals:
        if removal.problem is None:
            print(f"{_name(removal.kept)}: removed, {_megabytes(removal.freed)} freed")
    print(f"{_megabytes(sum(removal.freed for removal in removals))} freed")
    problems = [
        f"{_name(removal.kept)}: not removed: {removal.problem}"
        for removal in removals
        if removal.problem is not None
    ]
    if problems:
        raise PipelineError("\n".join(problems))


def _print_list(kept: "list[KeptFiles]") -> None:
    from pipeline.disk_usage import disk_usage
    from pipeline.kept_work import RECORDS

    for one in kept:
        size = one.usage
        _print_row(one.kind, size.bytes, f"{one.path}: {one.about}")
        if size.freed < size.bytes:
            print(
                f"{INDENT}removing frees {_megabytes(size.freed)}: the rest has other hard "
                "links, as in data/raw, data/resized or DVC's cache"
            )
        if (user := one.user) is not None:
            print(f"{INDENT}in use by {user}")
    total = disk_usage(file for one in kept for file in one.files)
    _print_row("total", total.bytes, f"removing all frees {_megabytes(total.freed)}")
    if kinds := dict.fromkeys(one.kind for one in kept if one.kind not in RECORDS):
        print(f"to remove: pipeline clean --remove {','.join(kinds)}")


def _print_row(name: str, size: int, text: str) -> None:
    print(f"{name:<{NAME_WIDTH}}{_megabytes(size):>{SIZE_WIDTH}}  {text}")


def _name(kept: "KeptFiles") -> str:
    return kept.kind if kept.kind == str(kept.path) else f"{kept.kind} {kept.path}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"

"""`pipeline clean`: what runs keep for later ones, and removing it."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.kept_work import Kept

COLUMN = 26


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
    """List what runs keep for later ones, with its size; remove what --remove names.

    What a process uses is never removed. The results of the stages are DVC's: see `dvc gc`.
    """
    from pipeline.kept_work import choose, list_kept
    from pipeline.kept_work import remove as remove_kept

    found = list_kept()
    if remove is None:
        _print_list(found)
        return
    names = [name.strip() for name in remove.split(",") if name.strip()]
    removals = [remove_kept(kept) for kept in choose(found, names)]
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


def _print_list(found: "list[Kept]") -> None:
    from pipeline.kept_work import usage

    for kept in found:
        size = kept.usage
        _print_row(kept.kind, size.bytes, f"{kept.path}: {kept.about}")
        if size.freed < size.bytes:
            print(
                f"{'':{COLUMN}}removing frees {_megabytes(size.freed)}: the rest has other hard "
                "links, as in data/raw, data/resized or DVC's cache"
            )
        if (user := kept.user) is not None:
            print(f"{'':{COLUMN}}in use by {user}")
    total = usage(file for kept in found for file in kept.files)
    _print_row("total", total.bytes, f"removing all frees {_megabytes(total.freed)}")
    if found:
        kinds = ",".join(dict.fromkeys(kept.kind for kept in found))
        print(f"to remove: pipeline clean --remove {kinds}")


def _print_row(name: str, size: int, text: str) -> None:
    print(f"{name:<12}{_megabytes(size):>12}  {text}")


def _name(kept: "Kept") -> str:
    return kept.kind if kept.kind == str(kept.path) else f"{kept.kind} {kept.path}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"

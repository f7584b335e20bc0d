"""`pipeline recipe`: tried settings, as an experiment."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from pipeline.errors import UsageError
from pipeline.params import Params, ResizeParams, Section, TrainParams
from pipeline.params.file import load_params, with_changes
from pipeline.params.leaf_params import values_of
from stages.dvc_settings import dvc_settings
from stages.project import run_dvc
from stages.runner import PARAMS_FILE

# Of the machine and of the images rather than of the training.
OWN_PARAMS = (
    "checkpoint_seconds",
    "device",
    "folder_weights",
    "hr_folders",
    "lr_folders",
    "precision",
    "processes",
    "val_hr_folder",
    "val_lr_folder",
    "vgg",
)
FOLDER = Path(__file__).parents[1] / "recipes"


class Recipe(BaseModel):
    """A file of `stages/recipes`: what it is for, what it takes, and its params."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    time: str
    memory: str
    disk: str
    expect: str
    params: dict[str, dict[str, Any]]


def recipe(
    name: Annotated[str | None, typer.Argument(help="recipe; without it, all are listed")] = None,
    set_param: Annotated[
        list[str] | None,
        typer.Option(
            "--set-param",
            "-S",
            help="another value than the recipe's, as `dvc exp run` takes it; repeatable",
            metavar="SECTION.PARAM=VALUE",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the recipe and its command, and run nothing")
    ] = False,
) -> None:
    """Run `dvc exp run` with tried settings, or list them."""
    if name is None:
        for each in names():
            print(f"{each:<12}{load_recipe(each).title}")
        return
    chosen = load_recipe(name)
    for key in ("title", "time", "memory", "disk", "expect"):
        print(f"{key:<8}{getattr(chosen, key)}")
    own = [f"-S {shlex.quote(setting)}" for setting in set_param or ()]
    settings = " ".join([settings_of(chosen, load_params(PARAMS_FILE)), *own])
    print(f"\ndvc exp run {settings}")
    sys.stdout.flush()
    if not dry_run:
        run_dvc(["exp", "run", *shlex.split(settings)], Path())


def names() -> list[str]:
    """Return the names of all recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str) -> Recipe:
    """Return a recipe. Raises `UsageError` where there is none of that name."""
    if name not in names():
        raise UsageError(f"recipe {name}: unknown; there are {', '.join(names())}")
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return Recipe.model_validate(YAML(typ="safe").load(text))


def settings_of(recipe: Recipe, before: Params) -> str:
    """Return a recipe's params as options of `dvc exp run`, for a project with params `before`.

    What recipes set and this one does not name is the default again: all of `train` but
    `OWN_PARAMS`, `resize.mode` and `evaluate.degradation`. Raises `UsageError` where the file
    has params of another kind of generator or optimiser.
    """
    own = {name: getattr(before.train, name) for name in OWN_PARAMS}
    start = before.model_copy(
        update={
            "resize": before.resize.model_copy(update={"mode": ResizeParams().mode}),
            "train": TrainParams(**own),
            "evaluate": before.evaluate.model_copy(update={"degradation": "none"}),
        }
    )
    after = with_changes(start, recipe.params)
    # DVC changes the file's values, and leaves those of another kind in it.
    with_changes(before, {"train": after.train.model_dump()})
    return " ".join(
        dvc_settings(getattr(before, name), getattr(after, name), name, changed)
        for name in Params.model_fields
        if (changed := _changed(getattr(before, name), getattr(after, name)))
    )


def _changed(before: Section, after: Section) -> list[str]:
    """Return the names of the params of `after` that `before` has not, or with other values."""
    old, new = values_of(before), values_of(after)
    return [name for name in new if name not in old or old[name] != new[name]]

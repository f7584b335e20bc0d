"""`pipeline recipe`: tried settings, as an experiment."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from pipeline.errors import UsageError
from pipeline.params import Params
from pipeline.params.file import load_params, with_changes
from stages.dvc_settings import dvc_settings
from stages.project import run_dvc
from stages.runner import PARAMS_FILE

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
    settings = settings_of(chosen, load_params(PARAMS_FILE))
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

    Raises `UsageError` where the two contradict each other.
    """
    after = with_changes(before, recipe.params)
    return " ".join(
        dvc_settings(getattr(before, section), getattr(after, section), section, _leaves(params))
        for section, params in recipe.params.items()
    )


def _leaves(params: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the names of params, those of sections within sections with a dot."""
    found: list[str] = []
    for name, value in params.items():
        is_section = isinstance(value, dict)
        found += _leaves(value, f"{prefix}{name}.") if is_section else [f"{prefix}{name}"]
    return found

"""The program `pipeline`: all stages and commands."""

import platform
from importlib.metadata import version
from typing import Annotated

import typer

from stages.commands.blend import blend
from stages.commands.booru import booru
from stages.commands.card import card
from stages.commands.clean import clean
from stages.commands.code import code
from stages.commands.compare import compare
from stages.commands.degrade import degrade
from stages.commands.demo import demo
from stages.commands.export import export
from stages.commands.init import init
from stages.commands.models import models
from stages.commands.pairs import pairs
from stages.commands.recipe import recipe
from stages.commands.serve import serve
from stages.commands.tradeoff import tradeoff
from stages.commands.upscale import upscale
from stages.evaluate import STAGE as EVALUATE
from stages.manifest import STAGE as MANIFEST
from stages.resize import STAGE as RESIZE
from stages.runner import HandRunCommand, add_stages, new_app
from stages.scrape import STAGE as SCRAPE
from stages.train import STAGE as TRAIN

PACKAGE = "anime-sr-pipeline"
STAGES = (SCRAPE, RESIZE, MANIFEST, TRAIN, EVALUATE)
COMMANDS = (
    upscale,
    serve,
    models,
    blend,
    export,
    card,
    compare,
    tradeoff,
    pairs,
    degrade,
    init,
    recipe,
    demo,
    booru,
    clean,
    code,
)


def _print_versions(wanted: bool) -> None:
    if wanted:
        libraries = [f"{name} {version(name)}" for name in ("torch", "pillow", "dvc")]
        print(f"{PACKAGE} {version(PACKAGE)}")
        print(f"Python {platform.python_version()}, {', '.join(libraries)}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_versions,
            is_eager=True,
            help="print the versions of the program and its main libraries, and exit",
        ),
    ] = False,
) -> None:
    """Take the options of the program itself."""


def program() -> typer.Typer:
    """Return the program: all stages, with the values of the params file here, and commands."""
    app = new_app(
        "Scrape anime illustrations, train a super-resolution GAN, measure and use it.",
        completion=True,
    )
    app.callback()(_options)
    add_stages(app, STAGES)
    for command in COMMANDS:
        app.command(cls=HandRunCommand)(command)
    return app

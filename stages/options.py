"""What every command shares: options made from the params, errors as one line, exit codes."""

import inspect
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from pipeline.errors import PipelineError, UsageError, fault_line
from pipeline.locks import hold, lock_file
from pipeline.named_files import FOLDER, Input, unwatched
from pipeline.params import Params, Section, is_list, is_mapping, section_type
from pipeline.params.file import load_params, option_name, override
from pipeline.processes import ignore_signals, interrupt_on_signals, stop_with_dvc
from pipeline.progress import Progress
from stages.streams import flush_output, prepare_streams

PARAMS_FILE = Path("params.yaml")
INTERRUPTED = 130


@dataclass(frozen=True)
class Stage:
    """A stage of `dvc.yaml`: its name is also its section of `params.yaml` and its command.

    `run` takes the section's params, then arguments that are Typer options of its own. `folder`
    is where its results go, and where the lock lies that keeps a second run out. With
    `reading_option` it only reads, and needs no lock.
    """

    name: str
    run: Callable[..., None]
    folder: Path
    reading_option: str | None = None

    @property
    def lock(self) -> Path:
        """File that a run of this stage locks."""
        return lock_file(self.folder, self.name)


def project_folder() -> Path:
    """Return the project whose temporary copy this folder is, else this folder.

    `dvc exp run --temp` and `--queue` run in a copy that DVC throws away at the end, whatever the
    end was; in `DVC_ROOT` it names the project that experiments start from.
    """
    root = os.environ.get("DVC_ROOT")
    if root and Path.cwd().is_relative_to(Path(root).resolve() / ".dvc/tmp"):
        return Path(root)
    return Path()


def new_app(about: str | None = None) -> typer.Typer:
    """A Typer application with this program's manners."""
    return typer.Typer(
        help=about,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def add_stages(app: typer.Typer, stages: Sequence[Stage]) -> None:
    """Give `app` the command of each of `stages`, with an option for each of its params."""
    shown, source = _shown_params()
    for stage in stages:
        _add_stage(app, stage, getattr(shown, stage.name), source)


def _add_stage(app: typer.Typer, stage: Stage, shown: Section, source: str) -> None:
    fields = section_type(stage.name).model_fields
    own = list(inspect.signature(stage.run).parameters.values())[1:]

    def command(**given: Any) -> None:
        texts = {name: given.pop(name) for name in fields}
        overrides = {name: text for name, text in texts.items() if text is not None}
        params = getattr(load_params(PARAMS_FILE), stage.name)
        if overrides:
            params = override(params, overrides)
            _tell_overrides(params, stage.name, overrides)
        with _exclusive(stage, given):
            stage.run(params, **given)

    options = [_option(name, field, getattr(shown, name), source) for name, field in fields.items()]
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*own, *options]
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = inspect.getdoc(stage.run)
    app.command(stage.name, no_args_is_help=False)(command)


def _exclusive(stage: Stage, options: Mapping[str, object]) -> AbstractContextManager[None]:
    """Return the stage's lock, but none for a run that only reads.

    Of torchrun's processes the first holds it for all.
    """
    follows = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK") != "0"
    reads = stage.reading_option is not None and options.get(stage.reading_option)
    if follows or reads:
        return nullcontext()
    return hold(stage.lock, f"pipeline {stage.name}")


def run_stage(stage: Stage) -> None:
    """Run one stage as a program of its own: `python -m stages.train`."""
    app = new_app()
    add_stages(app, [stage])
    run_app(app)


def run_app(app: typer.Typer) -> None:
    """Run `app` and exit: 0 done, 1 failed, 2 wrong usage or params, 130 interrupted."""
    prepare_streams()
    # Params say what size of a picture is too large; Pillow's own opinion would only puzzle.
    warnings.filterwarnings("ignore", message=".*could be decompression bomb")
    interrupt_on_signals()
    stop_with_dvc(os.environ)
    code = _run(app)
    unwritten = flush_output()
    if unwritten is not None and code == 0:
        code = PipelineError.exit_code
        # Whoever reads a pipe may stop, as `head` does.
        if not isinstance(unwritten, BrokenPipeError):
            print(unwritten, file=sys.stderr)
    # Exiting, Python restores the default handlers: a signal would replace the exit code.
    ignore_signals()
    sys.exit(code)


def _run(app: typer.Typer) -> int:
    """Run `app`, print why it ended early, and return the exit code."""
    try:
        returned = app(standalone_mode=False)
        code = returned if isinstance(returned, int) else 0
    except (PipelineError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        print(message, file=sys.stderr)
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        fault = fault_line(error)
        if fault is None:
            raise
        print(fault, file=sys.stderr)
        code = PipelineError.exit_code
    if code == INTERRUPTED:
        print("interrupted; run the same command again to go on", file=sys.stderr)
    return code


def warn_of_unwatched(inputs: Sequence[Input], progress: Progress) -> None:
    """Say under DVC which of a stage's inputs may change without DVC running the stage again."""
    if not os.environ.get("DVC_STAGE"):
        return
    for one in unwatched(inputs):
        progress.message(
            f"note: {one.key}: DVC does not see when {one.path} changes; it does so in "
            f"{FOLDER / one.stage}"
        )


def _shown_params() -> tuple[Params, str]:
    """The params whose values help texts show, and where they come from.

    Help must answer where no params file can be read, too: then it shows the schema's values.
    """
    try:
        return load_params(PARAMS_FILE), str(PARAMS_FILE)
    except UsageError:
        return Params(), "default"


def _option(name: str, field: FieldInfo, value: object, source: str) -> inspect.Parameter:
    option = typer.Option(
        option_name(name),
        help=f"{field.description}  [{source}: {_yaml(value)}]",
        metavar=_metavar(field),
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _metavar(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return "|".join(str(choice) for choice in get_args(field.annotation))
    if is_list(field):
        return "A,B,..."
    if is_mapping(field):
        return "NAME=PATH,..."
    kinds = get_args(field.annotation) or (field.annotation,)
    kind = "TEXT" if str in kinds else "NUMBER" if float in kinds else "INTEGER"
    return kind + ("|null" if type(None) in kinds else "")


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) or "[]"
    if isinstance(value, dict):
        return ",".join(f"{name}={path}" for name, path in value.items()) or "{}"
    return str(value) if value != "" else '""'


def _settings(key: str, field: FieldInfo, value: object, text: str) -> list[str]:
    """An option as DVC's `-S` has it: one setting, but one a name where it maps names."""
    if isinstance(value, dict):
        return [f"++{key}.{name}={path}" for name, path in value.items()]
    if is_list(field) and not text.startswith("["):
        text = f"[{text}]"
    return [f"{key}={text}"]


def _tell_overrides(params: Section, section: str, texts: dict[str, str]) -> None:
    if os.environ.get("DVC_STAGE"):
        return
    fields = type(params).model_fields
    settings = [
        "-S " + shlex.quote(setting)
        for name, text in texts.items()
        for setting in _settings(f"{section}.{name}", fields[name], getattr(params, name), text)
    ]
    print(
        f"note: options override {PARAMS_FILE}, so `dvc repro` will not reproduce this run; "
        f"this does: dvc exp run {' '.join(settings)}",
        file=sys.stderr,
    )

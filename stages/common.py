"""What every stage's command shares: options made from its params, errors as one line, exit codes."""

import inspect
import os
import shlex
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from pipeline.errors import PipelineError, UsageError
from pipeline.params import Params, Section, load_params, option_name, override

PARAMS_FILE = Path("params.yaml")
INTERRUPTED = 130


@dataclass(frozen=True)
class Stage:
    """A stage of `dvc.yaml`: its name is also its section of `params.yaml` and its command.

    `run` takes the section's params, then arguments that are Typer options of its own.
    """

    name: str
    run: Callable[..., None]

    @property
    def section(self) -> type[Section]:
        annotation = Params.model_fields[self.name].annotation
        assert annotation is not None
        return annotation


def new_app() -> typer.Typer:
    """A Typer application with this program's manners."""
    return typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def add_stage(app: typer.Typer, stage: Stage) -> None:
    """Give `app` the command of `stage`, with an option for each of its params."""
    shown = _shown_params(stage)
    own = list(inspect.signature(stage.run).parameters.values())[1:]
    options = [_option(name, field, shown) for name, field in stage.section.model_fields.items()]

    def command(**given: Any) -> None:
        texts = {
            name: given.pop(name)
            for name in stage.section.model_fields
            if given.get(name) is not None
        }
        given = {
            key: value for key, value in given.items() if key not in stage.section.model_fields
        }
        params = getattr(load_params(PARAMS_FILE), stage.name)
        if texts:
            params = override(params, texts)
            _tell_overrides(stage.name, texts)
        stage.run(params, **given)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*own, *options]
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = inspect.getdoc(stage.run)
    app.command(stage.name)(command)


def run_stage(stage: Stage) -> None:
    """Run one stage as a program of its own: `python -m stages.train`."""
    app = new_app()
    add_stage(app, stage)
    run_app(app)


def run_app(app: typer.Typer) -> None:
    """Run `app` and exit: 0 done, 1 failed, 2 wrong usage or params, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        _complain(error.format_message())
        code = error.exit_code
    except PipelineError as error:
        _complain(str(error))
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    if code == INTERRUPTED:
        _complain("interrupted; run the same command again to go on")
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _shown_params(stage: Stage) -> Section:
    """The params whose values help texts show: the file's, or the schema's where it can't be read."""
    try:
        section: Section = getattr(load_params(PARAMS_FILE), stage.name)
    except UsageError:
        section = stage.section()
    return section


def _option(name: str, field: FieldInfo, shown: Section) -> inspect.Parameter:
    option = typer.Option(
        option_name(name),
        help=field.description,
        metavar=_metavar(field.annotation),
        show_default=_yaml(getattr(shown, name)),
        rich_help_panel="params.yaml",
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _metavar(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return "|".join(str(choice) for choice in get_args(annotation))
    if origin is tuple:
        return "A,B,..."
    names = {int: "INTEGER", float: "NUMBER", str: "TEXT"}
    return names.get(annotation, "INTEGER|null")


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) or "none"
    return str(value) if value != "" else "none"


def _tell_overrides(section: str, texts: dict[str, str]) -> None:
    if os.environ.get("DVC_STAGE"):
        return
    settings = " ".join(
        "-S " + shlex.quote(f"{section}.{name}={_dvc_value(section, name, text)}")
        for name, text in texts.items()
    )
    _complain(
        f"note: options override {PARAMS_FILE}, so `dvc repro` will not reproduce this run; "
        f"this does: dvc exp run {settings}"
    )


def _dvc_value(section: str, name: str, text: str) -> str:
    annotation = Params.model_fields[section].annotation.model_fields[name].annotation  # type: ignore[union-attr]
    is_list = get_origin(annotation) is tuple
    return f"[{text}]" if is_list and not text.lstrip().startswith("[") else text

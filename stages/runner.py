"""Run stages and commands: locks, signals, errors as one line, exit codes."""

import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from pipeline.errors import (
    ArgumentError,
    PipelineError,
    ReaderEndedError,
    UsageError,
    fault_line,
)
from pipeline.locks import hold, lock_file
from pipeline.named_files import FOLDER, Input, unwatched
from pipeline.params import Params, Section
from pipeline.params.file import load_params, option_name, override
from pipeline.params.leaf_params import params_of
from pipeline.processes import ignore_signals, interrupt_on_signals, stop_with_dvc
from stages.console import ConsoleProgress
from stages.dvc_settings import InexpressibleError, dvc_settings
from stages.interruption import INTERRUPTED, MESSAGE
from stages.options import keyword, param_options, set_signature
from stages.streams import READER_ENDED, finish_output, prepare_streams
from stages.usage_messages import usage_message

PARAMS_FILE = Path("params.yaml")


@dataclass(frozen=True)
class Stage:
    """A stage of `dvc.yaml`; its name is also its section of `params.yaml` and its command.

    `run` takes the section's params, a `ConsoleProgress`, then arguments that are further Typer
    options. Its results and its lock are in `folder`. With the option `read_only_option` it only
    reads, and takes no lock.
    """

    name: str
    run: Callable[..., None]
    folder: Path
    read_only_option: str | None = None

    @property
    def lock(self) -> Path:
        """The file that a run of this stage locks."""
        return lock_file(self.folder, self.name)

    @property
    def options(self) -> list[inspect.Parameter]:
        """The arguments of `run` that are options beside the params."""
        return list(inspect.signature(self.run).parameters.values())[2:]


class HandRunCommand(TyperCommand):
    """Command that names its options in errors of the library, which knows arguments alone.

    None of its arguments and options may be empty: an empty path is any folder.
    """

    def invoke(self, ctx: Any) -> Any:
        """As of any command. Raises `UsageError` that names the option for an argument."""
        try:
            return super().invoke(ctx)
        except ArgumentError as error:
            option = option_name(error.name)
            params = [p for p in self.params if p.name == error.name or option in p.opts]
            given = [param for param in params if ctx.params.get(param.name) is not None]
            is_option = any(option in param.opts for param in given)
            name = option if is_option else error.name.upper() if given else error.name
            raise UsageError(f"{name}: {error.problem}") from None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As of any command. Raises `UsageError` that names the empty one."""
        values, _, _ = self.make_parser(ctx).parse_args(list(args))
        for param in self.params:
            value = values.get(param.name or "")
            if value == "" or (isinstance(value, list | tuple) and "" in value):
                option = next((name for name in param.opts if name.startswith("--")), None)
                # Paths by default are no text.
                is_word = isinstance(param.default, str)
                advice = (
                    f" for {param.default}" if is_word else ", or name something (this folder is .)"
                )
                raise UsageError(
                    f"{option or str(param.name).upper()}: is empty; leave it out{advice}"
                )
        return super().parse_args(ctx, args)


def project_folder() -> Path:
    """Return the project's folder, also where this folder is a temporary copy of it.

    `dvc exp run --temp` and `--queue` run in such a copy, which DVC removes at the end, whether
    they succeeded or not. `DVC_ROOT` names the project that was copied.
    """
    root = os.environ.get("DVC_ROOT")
    if root and Path.cwd().is_relative_to(Path(root).resolve() / ".dvc/tmp"):
        return Path(root)
    return Path()


def new_app(help: str | None = None, completion: bool = False) -> typer.Typer:
    """Return a Typer application without Rich and tracebacks of Typer's own.

    `completion` adds options that install shell completion.
    """
    return typer.Typer(
        help=help,
        add_completion=completion,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def add_stages(app: typer.Typer, stages: Sequence[Stage]) -> None:
    """Add the command of each stage to `app`, with one option per param."""
    shown, source = _shown_params()
    for stage in stages:
        _add_stage(app, stage, getattr(shown, stage.name), source)


def _add_stage(app: typer.Typer, stage: Stage, shown: Section, source: str) -> None:
    def command(**options: Any) -> None:
        texts = {param.name: options.pop(keyword(param.name)) for param in params_of(type(shown))}
        overrides = {name: text for name, text in texts.items() if text is not None}
        progress = ConsoleProgress()
        params = _params_with(stage.name, overrides, progress)
        try:
            with _exclusive(stage, options), naming_options(stage.name, overrides):
                stage.run(params, progress, **options)
        except UsageError:
            raise
        except BaseException:
            progress.show_notes()
            raise
        progress.show_notes()

    set_signature(command, [*stage.options, *param_options(shown, source)], stage.run)
    app.command(stage.name, no_args_is_help=False)(command)


def _params_with(section: str, overrides: Mapping[str, str], progress: ConsoleProgress) -> Section:
    """Return a section of the params file with options in place of some values."""
    params: Section = getattr(load_params(PARAMS_FILE), section)
    if not overrides:
        return params
    overridden = override(params, overrides)
    if not os.environ.get("DVC_STAGE"):
        try:
            remedy = (
                f"this does: dvc exp run {dvc_settings(params, overridden, section, overrides)}"
            )
        except InexpressibleError as error:
            remedy = f"write them into the file, since `dvc exp run` has no form for {error}"
        progress.note(
            f"note: options override {PARAMS_FILE}, so `dvc repro` will not reproduce this run; "
            f"{remedy}"
        )
    return overridden


@contextmanager
def naming_options(section: str, given: Collection[str]) -> Iterator[None]:
    """Name the options in place of the `given` params of a section, in errors of the block.

    The library knows params alone, and arguments. An item of a mapping, `evaluate.results.NAME`, is
    named as in errors of the option itself: `--results: NAME`.
    """
    try:
        yield
    except ArgumentError as error:
        is_option = error.name in given
        error.name = option_name(error.name) if is_option else f"{section}.{error.name}"
        raise
    except PipelineError as error:
        text = str(error)
        for name in given:
            param = re.escape(f"{section}.{name}")
            text = re.sub(rf"\b{param}(?!\.?\w)", option_name(name), text)
            text = re.sub(rf"\b{param}\.([\w+-]+)(?=:)", rf"{option_name(name)}: \1", text)
        error.args = (text,)
        raise


def _exclusive(stage: Stage, options: Mapping[str, object]) -> AbstractContextManager[None]:
    """Return the stage's lock, but none for a run that only reads.

    Of torchrun's processes only the first takes it.
    """
    is_follower = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK") != "0"
    only_reads = stage.read_only_option is not None and options.get(stage.read_only_option)
    if is_follower or only_reads:
        return nullcontext()
    return hold(stage.lock, f"pipeline {stage.name}")


def run_stage(stage: Stage) -> None:
    """Run one stage as a program: `python -m stages.train`."""
    app = new_app()
    add_stages(app, [stage])
    run_app(app)


def run_app(app: typer.Typer) -> None:
    """Run `app` and exit: 0 done, 1 failed, 2 wrong usage or params, 130 interrupted.

    141 where what read standard output has ended.
    """
    prepare_streams()
    # Pillow warns of damaged metadata, without the file's name; and of sizes, which params limit.
    # Once for all threads: what `catch_warnings` sets and restores, it does for others too.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    interrupt_on_signals()
    stop_with_dvc(os.environ)
    code = _finish_output(_run(app))
    # Exiting, Python restores the default handlers: a signal would replace the exit code.
    ignore_signals()
    sys.exit(code)


def _finish_output(code: int) -> int:
    """Write what is left for standard output; return `code`, or another where that is lost.

    Of a command that has failed, that is no news.
    """
    try:
        finish_output()
    except ReaderEndedError:
        return code or READER_ENDED
    except PipelineError as error:
        if not code:
            print(error, file=sys.stderr)
        return code or error.exit_code
    return code


def _run(app: typer.Typer) -> int:
    """Run `app`, print why it ended early, and return the exit code."""
    try:
        returned = app(standalone_mode=False)
        # Typer returns this code where it met a KeyboardInterrupt.
        if returned == INTERRUPTED:
            raise KeyboardInterrupt
        code = returned if isinstance(returned, int) else 0
    except (PipelineError, typer.TyperException) as error:
        if isinstance(error, typer.TyperException):
            message = usage_message(error, sys.argv[1:])
        else:
            message = str(error)
        print(message, file=sys.stderr)
        code = error.exit_code
    except ReaderEndedError:
        code = READER_ENDED
    except SystemExit as ended:
        # Of Typer's completion of shells.
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except (KeyboardInterrupt, typer.Abort):
        print(MESSAGE, file=sys.stderr)
        code = INTERRUPTED
    except Exception as error:
        fault = fault_line(error)
        if fault is None:
            raise
        print(fault, file=sys.stderr)
        code = PipelineError.exit_code
    return code


def warn_of_unwatched(inputs: Sequence[Input], progress: ConsoleProgress) -> None:
    """Warn under DVC of a stage's inputs whose changes do not make DVC run the stage again."""
    if not os.environ.get("DVC_STAGE"):
        return
    for one in unwatched(inputs):
        progress.note(
            f"note: {one.key}: DVC does not see when {one.path} changes; it does so in "
            f"{FOLDER / one.stage}"
        )


def _shown_params() -> tuple[Params, str]:
    """Return the params whose values help texts show, and the name of their source.

    Where the params file cannot be read, these are the defaults: help must still work.
    """
    try:
        return load_params(PARAMS_FILE), str(PARAMS_FILE)
    except UsageError:
        return Params(), "default"

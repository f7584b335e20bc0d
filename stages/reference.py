"""The reference page of all commands, made from what Typer reads: signatures and docstrings."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from typer.models import ArgumentInfo, OptionInfo

from pipeline.images.degradation_presets import PRESETS
from pipeline.params.degradation import SECOND, ChainStrengths, OrderStrengths, strength_names
from pipeline.params.file import option_name
from pipeline.params.reference import escaped
from stages.runner import Stage

HEAD = """\
# Commands

`pipeline --help` lists the commands, `pipeline COMMAND --help` the options of one.
`pipeline --version` prints versions. `pipeline --install-completion` completes commands and options
in your shell.

Exit codes: 0 done, 1 failed, 2 wrong usage or params, 3 `scrape` met a page for humans, 130
interrupted, 141 nobody reads the output any more. An error is one line that says what to do.

The first five commands are the stages of `dvc.yaml`. They read `params.yaml` of the current folder,
and each of their params is an option.
"""
DEGRADATION_HEAD = """\
# Strengths of degradation

What `train.degradation_strengths` may name, and the values of `light` and `heavy`, which apply
where it does not. The names are those of Real-ESRGAN's option files; `2` at the end means the
second order of the chain. Weights need not sum to 1. [How to shape a
degradation](../howto/degrade.md) shows them at work.

| strength | `light` | `heavy` | |
|---|---|---|---|
"""
METAVARS = {Path: "PATH", int: "INTEGER", float: "NUMBER", str: "TEXT"}


def degradation_page() -> str:
    """Return the page of the chain's strengths, in Markdown: a row for each."""
    chains = [chain.by_name() for chain in PRESETS.values()]
    fields = OrderStrengths.model_fields | ChainStrengths.model_fields
    rows = []
    for name in strength_names():
        is_second = name.endswith(SECOND)
        what = "the same, of the second order" if is_second else fields[name].description
        rows.append(_strength(name, [chain[name] for chain in chains], what))
    return DEGRADATION_HEAD + "".join(rows)


def _strength(name: str, values: Sequence[object], description: str | None) -> str:
    texts = [
        f"[{', '.join(f'{one:g}' for one in value)}]" if isinstance(value, list) else f"{value:g}"
        for value in values
    ]
    shown = " | ".join(f"`{text}`" for text in texts)
    return f"| `{name}` | {shown} | {escaped(description)} |\n"


def commands_page(stages: Sequence[Stage], commands: Sequence[Callable[..., None]]) -> str:
    """Return the page, in Markdown: a heading for each command."""
    parts = [HEAD]
    for stage in stages:
        params = f"- [the params of `{stage.name}`](params.md#{stage.name}), each an option"
        parts.append(_command(stage.name, stage.run, stage.options, [params]))
    for command in commands:
        own = list(inspect.signature(command).parameters.values())
        parts.append(_command(command.__name__, command, own))
    return "\n".join(parts)


def _command(
    name: str,
    command: Callable[..., None],
    parameters: Sequence[inspect.Parameter],
    further: Sequence[str] = (),
) -> str:
    """Return a command's usage, help text, arguments and options, and `further` list items."""
    arguments = [one for one in parameters if isinstance(_info(one), ArgumentInfo)]
    options = [one for one in parameters if isinstance(_info(one), OptionInfo)]
    rows = [*map(_argument, arguments), *map(_option, options), *further]
    words = ["pipeline", name, *(["[OPTIONS]"] if options or further else [])]
    usage = " ".join([*words, *map(_metavar, arguments)])
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    text = "\n\n".join(map(escaped, paragraphs))
    return "\n".join([f"## pipeline {name}\n\n```text\n{usage}\n```\n\n{text}\n", *rows, ""])


def _argument(parameter: inspect.Parameter) -> str:
    return f"- `{_metavar(parameter)}`: {escaped(_info(parameter).help)}"


def _option(parameter: inspect.Parameter) -> str:
    info = _info(parameter)
    names = ", ".join(f"`{name}`" for name in _names(parameter))
    value = "" if _value_type(parameter) is bool else f" `{_metavar(parameter)}`"
    notes = "".join(f" ({note})" for note in _notes(parameter, info))
    return f"- {names}{value}: {escaped(info.help)}{notes}"


def _notes(parameter: inspect.Parameter, info: OptionInfo | ArgumentInfo) -> Iterator[str]:
    """Yield the range of an option, and its default where `--help` shows it."""
    if info.min is not None and info.max is not None:
        yield f"{info.min} to {info.max}"
    elif info.min is not None:
        yield f"at least {info.min}"
    default = parameter.default
    if info.show_default and default is not None and not isinstance(default, bool):
        yield f"default: {default}"


def _names(parameter: inspect.Parameter) -> Sequence[str]:
    """Return the names of an option: the declared ones, else one by its parameter's name."""
    info = _info(parameter)
    # Within Annotated, Typer takes the first name for the default.
    declared = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
    return declared or [option_name(parameter.name)]


def _metavar(parameter: inspect.Parameter) -> str:
    """Return what stands for the value in usage lines."""
    info, kind = _info(parameter), _value_type(parameter)
    if isinstance(info, ArgumentInfo):
        return parameter.name.upper() + ("..." if get_origin(kind) is list else "")
    item = get_args(kind)[0] if get_origin(kind) is list else kind
    return info.metavar or METAVARS.get(item, "TEXT")


def _info(parameter: inspect.Parameter) -> Any:
    """Return what a command says of a parameter: Typer's `OptionInfo` or `ArgumentInfo`."""
    assert get_origin(parameter.annotation) is Annotated, parameter
    return parameter.annotation.__metadata__[0]


def _value_type(parameter: inspect.Parameter) -> Any:
    """Return the type of a parameter's values, without None."""
    kind = get_args(parameter.annotation)[0]
    members = [one for one in get_args(kind) if one is not type(None)]
    return members[0] if get_origin(kind) is not list and members else kind

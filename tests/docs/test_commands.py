"""Every command of README and docs: it exists, and takes the options that it is given there.

Nothing is run: that is done by the tests of each command. What another program than `pipeline`,
`dvc`, `make` and our scripts gets is not checked; `NOT_CHECKED` says why.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from dvc.cli.parser import get_main_parser
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from pipeline.params import Params, section_type
from pipeline.params.file import load_params, override
from pipeline.params.leaf_params import params_of
from pipeline.params.text import params_text
from pipeline.upscaling.params import UpscaleParams, upscale_params
from stages.options import keyword
from stages.program import STAGES, program
from tests.docs.pages import ROOT, blocks

NOT_CHECKED = {
    ".": "the shell's own; the environment that a line before it makes",
    ".venv/bin/pre-commit": "is installed by who wants it",
    "cd": "the shell's own",
    "cp": "the shell's own",
    "curl": "needs a network",
    "dask": "its servers run until they are stopped; tests/resizing/test_executors.py starts some",
    "docker": "needs a network, and Docker",
    "gallery-dl": "another program; needs the embedded booru beside it",
    "git": "commits to a user's repository; tests/end_to_end does it",
    "pip": "needs a network",
    "python3": "makes an environment",
    "tensorboard": "runs until it is stopped",
    "head": "the shell's own",
    "ls": "the shell's own",
    "tail": "the shell's own",
    "torchrun": "needs two machines; tests/training/test_distributed.py starts processes on one",
    "uv": "needs a network",
    "wait": "the shell's own",
}
NOT_INSTALLED = ("import optuna",)
"""Of packages that a page says to install."""
SHELL = re.compile(r"[;&|()<>]+")
SUBSTITUTION = re.compile(r"\$\(([^)]*)\)")
PROGRAM: Any = typer.main.get_command(program())


@dataclass(frozen=True)
class Command:
    """A simple command of a block, as the shell splits it into words."""

    location: str
    words: Sequence[str]


def commands() -> Iterator[Command]:
    """Every command of every block, also those of pipes and substitutions."""
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            inner = SUBSTITUTION.findall(line)
            for text in (SUBSTITUTION.sub("SUBSTITUTED", line), *inner):
                for words in simple_commands(text):
                    yield Command(block.location, words)


def simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a line, without comments, redirections and assignments before them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    into_file = False
    for word in [*lexer, ";"]:
        if not SHELL.fullmatch(word):
            if not into_file and (words or not re.match(r"\w+=", word)):
                words.append(word)
            into_file = False
        elif word == ">":
            into_file = True
        elif words:
            yield words
            words = []


COMMANDS = list(commands())


def those_of(*programs: str) -> Any:
    """The commands of some programs, one a test."""
    chosen = [one for one in COMMANDS if one.words[0] in programs]
    assert chosen
    return pytest.mark.parametrize(
        "command", chosen, ids=[f"{one.location} {' '.join(one.words)[:60]}" for one in chosen]
    )


def test_each_command_is_checked_or_named() -> None:
    programs = {one.words[0] for one in COMMANDS}
    assert programs - {"pipeline", "dvc", "make", "python"} == set(NOT_CHECKED)


def test_no_command_has_to_be_put_together() -> None:
    assert [one for one in COMMANDS if any("..." in word for word in one.words)] == []


@those_of("pipeline")
def test_pipeline_takes_the_options(command: Command) -> None:
    name, *arguments = command.words[1:]
    if name.startswith("-"):
        names = {option for param in PROGRAM.params for option in param.opts}
        assert name in names | {"--help"}
        return
    context = PROGRAM.commands[name].make_context(name, arguments)
    if name in {stage.name for stage in STAGES}:
        section = section_type(name)
        given = {one.name: context.params[keyword(one.name)] for one in params_of(section)}
        override(section(), {key: text for key, text in given.items() if text is not None})
    if name == "upscale":
        upscale_params(**{key: context.params[key] for key in UpscaleParams.model_fields})


@those_of("dvc")
def test_dvc_takes_the_options_and_the_params_exist(command: Command, tmp_path: Path) -> None:
    arguments = get_main_parser().parse_args(command.words[1:])
    overrides = getattr(arguments, "set_param", None) or []
    sweep = list(get_hydra_sweeps({"params.yaml": overrides}))
    assert arguments.queue if len(sweep) > 1 else sweep
    for number, experiment in enumerate(sweep):
        path = tmp_path / f"{number}.yaml"
        path.write_text(params_text(Params()), encoding="utf-8")
        apply_overrides(path, experiment["params.yaml"])
        load_params(path)


@those_of("make")
def test_make_has_the_target(command: Command) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in command.words[1:]:
        if target.endswith("="):
            assert re.search(rf"^{target.rstrip('=')} \?=", makefile, re.MULTILINE)
            continue
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@those_of("python")
def test_a_script_of_ours_has_the_options(command: Command) -> None:
    script, *arguments = command.words[1:]
    if script == "-m":
        assert arguments[0] == "build"  # needs a network, for what it builds with
        return
    text = (ROOT / script).read_text(encoding="utf-8")
    for argument in arguments:
        if argument.startswith("--"):
            assert f'"{argument}"' in text


@pytest.mark.parametrize("block", [*blocks("yaml")], ids=lambda block: block.location)
def test_params_in_the_docs_are_a_params_file(block: Any, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(block.text, encoding="utf-8")
    load_params(path)


@pytest.mark.parametrize("block", [*blocks("python")], ids=lambda block: block.location)
def test_python_in_the_docs_compiles_and_imports(block: Any) -> None:
    compile(block.text, block.location, "exec")
    imports = [line for line in block.text.splitlines() if line.startswith(("from ", "import "))]
    imports = [line for line in imports if line not in NOT_INSTALLED]
    exec("\n".join(imports), {})


def test_a_mistake_would_be_found(tmp_path: Path) -> None:
    """A negative of the checks, so that none passes whatever it gets."""
    wrong_option = Command("", ["pipeline", "train", "--adv-wieght", "0"])
    with pytest.raises(Exception, match="No such option"):
        test_pipeline_takes_the_options(wrong_option)
    wrong_value = Command("", ["pipeline", "train", "--crop", "386"])
    with pytest.raises(Exception, match="multiple"):
        test_pipeline_takes_the_options(wrong_value)
    wrong_param = Command("", ["dvc", "exp", "run", "-S", "train.adv_wieght=0"])
    with pytest.raises(Exception, match="Invalid `--set-param` value"):
        test_dvc_takes_the_options_and_the_params_exist(wrong_param, tmp_path)
    assert list(simple_commands("A=1 a 'b|c' | d > e && f # g")) == [["a", "b|c"], ["d"], ["f"]]

"""Options of hand-run commands, made from a params model."""

from typing import Any, Literal

import pytest
from pydantic import Field
from typer.testing import CliRunner

from pipeline.params import Section
from stages.runner import new_app
from stages.typed_options import options_from


class Params(Section):
    side_length: int | None = Field(None, description="pixels")
    share: float = Field(0.5, description="of all")
    fast: bool = Field(False, description="whether to hurry")
    mode: Literal["a", "b"] = Field("a", description="a or b")


def run(*arguments: str) -> tuple[list[dict[str, Any]], str]:
    calls: list[dict[str, Any]] = []

    @options_from(Params, share={"metavar": "SHARE"})
    def work(name: str, *, params: dict[str, Any], last: bool = False) -> None:
        """Work."""
        calls.append({"name": name, "last": last, **params})

    app = new_app()
    app.command()(work)
    return calls, CliRunner().invoke(app, arguments).output


def test_values_have_the_fields_types_and_defaults() -> None:
    defaults = {"side_length": None, "share": 0.5, "fast": False, "mode": "a"}
    assert run("x")[0] == [{"name": "x", "last": False, **defaults}]
    calls, _ = run("x", "--side-length", "7", "--share", "0.25", "--fast", "--mode", "c")
    assert calls == [
        {"name": "x", "last": False, "side_length": 7, "share": 0.25, "fast": True, "mode": "c"}
    ]


def test_help_has_descriptions_and_defaults() -> None:
    _, text = run("--help")
    lines = " ".join(text.split())
    assert "Work." in lines
    assert "--share SHARE of all [default: 0.5]" in lines
    assert "pixels" in lines


@pytest.mark.parametrize("option", ["--side_length", "--no-such"])
def test_other_options_are_refused(option: str) -> None:
    assert run("x", option, "1")[0] == []

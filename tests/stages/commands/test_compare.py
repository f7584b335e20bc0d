"""`pipeline compare` over the experiments of `test_tradeoff`."""

import shutil
from pathlib import Path

import pytest

from tests.stages.commands.test_tradeoff import project as project
from tests.stages.commands.test_tradeoff import run
from tests.stages.program import pipeline


def test_a_table_has_what_varies_and_the_main_metrics(project: Path) -> None:
    result = pipeline(project, "compare")
    assert (result.code, result.err) == (0, "")
    header, line, *rows = result.out.splitlines()
    assert set(line) == {"-", " "}
    assert len(header.split()) == 3
    names = ("train.adv_weight", "PSNR_Y", "RMSE_Y", "SWD")
    assert [row.split()[0] for row in rows] == [name.split("_Y")[0] for name in names]
    columns = zip(*(row.split()[-3:] for row in rows), strict=True)
    assert set(columns) == {
        ("1", "27.00", "11.00", "0.1000"),
        ("0.5", "27.50", "10.50", "0.1500"),
        ("0", "28.00", "10.00", "0.2000"),
    }


def test_params_that_are_not_of_the_results_are_named(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    (copy / "params.yaml").write_text("train:\n  adv_weight: 7.0\n")
    run(copy, "git", "commit", "--quiet", "-am", "other params")
    result = pipeline(copy, "compare")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert result.err.startswith("warning: ")
    assert "other params than its params.yaml has: train.adv_weight; run" in result.err


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("markdown", "**28.00**"),
        ("latex", "train.adv\\_weight"),
    ],
)
def test_other_programs_read_it(project: Path, format: str, text: str) -> None:
    result = pipeline(project, "compare", "--format", format)
    assert (result.code, result.err) == (0, "")
    assert text in result.out

"""`pipeline compare` over the experiments of `test_tradeoff`."""

from pathlib import Path

import pytest

from tests.stages.commands.test_tradeoff import project as project
from tests.stages.program import pipeline


def test_a_table_has_what_varies_and_the_main_metrics(project: Path) -> None:
    result = pipeline(project, "compare")
    assert (result.code, result.err) == (0, "")
    header, line, *rows = result.out.splitlines()
    assert header.split() == [
        *("experiment", "train.adv_weight"),
        *("PSNR", "Y", "RMSE", "Y", "SWD"),
    ]
    assert set(line) == {"-", " "}
    assert {tuple(row.split()[1:]) for row in rows} == {
        ("1", "27.00", "11.00", "0.1000"),
        ("0.5", "27.50", "10.50", "0.1500"),
        ("0", "28.00", "10.00", "0.2000"),
    }


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("markdown", "| 0                  | **28.00** | **10.00** | 0.2000     |"),
        ("latex", "train.adv\\_weight"),
    ],
)
def test_other_programs_read_it(project: Path, format: str, text: str) -> None:
    result = pipeline(project, "compare", "--format", format)
    assert (result.code, result.err) == (0, "")
    assert text in result.out

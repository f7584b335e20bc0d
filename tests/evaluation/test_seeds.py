"""Models that differ in the seed of their training alone."""

import json
from pathlib import Path

import pytest

from pipeline.evaluation.measurement import METRIC_BY_KEY
from pipeline.evaluation.seeds import seed_groups, seeds_table, write_seeds


def metadata(seed: int, device: str = "cpu", step: str = "10", **params: object) -> dict[str, str]:
    named = {"seed": seed, "lr": 0.1, "device": "auto", **params}
    return {"params": json.dumps(named), "step": step, "device": device}


def test_models_with_several_seeds_are_a_group():
    models = {
        "model": metadata(0),
        "second": metadata(1, device="cuda (NVIDIA H100)"),
        "again": metadata(1),
        "other": metadata(2, lr=0.2),
        "longer": metadata(3, step="20"),
        "third": metadata(2, device="cpu", processes=2),
    }
    assert seed_groups(models) == [["model", "second", "third"]]


@pytest.mark.parametrize("params", ["{", "[1]", "null", "{}", "7"])
def test_models_of_unknown_params_are_in_no_group(params):
    assert seed_groups({"a": {"params": params}, "b": {"params": params}, "c": {}}) == []


def test_a_row_has_means_and_sample_deviations():
    means = {"a": {"psnr_y": 27.0}, "b": {"psnr_y": 28.0}, "c": {"psnr_y": 29.0}}
    (row,) = seeds_table([["a", "b", "c"]], means, [METRIC_BY_KEY["psnr_y"]])
    assert (row.methods, [str(cell) for cell in row.cells]) == (["a", "b", "c"], ["28.00 ± 1.00"])


def test_the_file_has_a_line_for_each_group_and_metric(tmp_path: Path) -> None:
    means = {"a": {"psnr_y": 27.0, "swd": 0.1}, "b": {"psnr_y": 28.0, "swd": 0.1}}
    metrics = [METRIC_BY_KEY[key] for key in ("psnr_y", "swd")]
    write_seeds(tmp_path / "seeds.csv", [["a", "b"]], means, metrics)
    assert (tmp_path / "seeds.csv").read_text().splitlines() == [
        "methods,seeds,metric,mean,deviation",
        "a b,2,psnr_y,27.5,0.70711",
        "a b,2,swd,0.1,0.0",
    ]


def test_a_seed_that_is_no_number_makes_no_group() -> None:
    metadata = {name: {"params": f'{{"seed": [{name}]}}'} for name in ("1", "2")}
    assert seed_groups(metadata) == []

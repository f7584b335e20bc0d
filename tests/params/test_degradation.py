"""Strengths of the degradation chain: what is taken, and what a mistake is answered with."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.fingerprints import code_of
from pipeline.images.degradation_presets import UNCHANGED
from pipeline.params import TrainParams
from pipeline.params.degradation import ChainStrengths, OrderStrengths, strength_names
from pipeline.params.file import load_params, override
from pipeline.params.schema import schema_text
from pipeline.params.text import params_text

# The option file of Real-ESRGAN's generator ×4, as far as it is about degradations.
REAL_ESRGAN = """\
    resize_prob: [0.2, 0.7, 0.1]
    resize_range: [0.15, 1.5]
    gaussian_noise_prob: 0.5
    noise_range: [1, 30]
    poisson_scale_range: [0.05, 3]
    gray_noise_prob: 0.4
    jpeg_range: [30, 95]
    resize_prob2: [0.3, 0.4, 0.3]
    resize_range2: [0.3, 1.2]
    gaussian_noise_prob2: 0.5
    noise_range2: [1, 25]
    poisson_scale_range2: [0.05, 2.5]
    gray_noise_prob2: 0.4
    jpeg_range2: [30, 95]
    kernel_prob: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    sinc_prob: 0.1
    blur_sigma: [0.2, 3]
    betag_range: [0.5, 4]
    betap_range: [1, 2]
    kernel_prob2: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    sinc_prob2: 0.1
    blur_sigma2: [0.2, 1.5]
    betag_range2: [0.5, 4]
    betap_range2: [1, 2]
    final_sinc_prob: 0.8
"""


def load(folder: Path, text: str) -> TrainParams:
    (folder / "params.yaml").write_text(text)
    return load_params(folder / "params.yaml").train


def test_lines_of_other_option_files_are_taken(tmp_path: Path) -> None:
    train = load(tmp_path, f"train:\n  degradation: heavy\n  degradation_strengths:\n{REAL_ESRGAN}")
    assert train.degradation_strengths["resize_range"] == (0.15, 1.5)
    chain = UNCHANGED.replaced(train.degradation_strengths)
    assert chain.second.noise_range == (1, 25)
    assert chain.first.noise_range == (1, 30)
    assert chain.final_sinc_prob == 0.8


def test_the_names_are_those_of_both_orders() -> None:
    names = strength_names()
    assert len(names) == len(set(names))
    assert {"jpeg_range", "jpeg_range2", "final_sinc_prob", "resize_mode_prob"} <= set(names)
    assert "final_sinc_prob2" not in names
    assert '"jpeg_range2"' in schema_text()


@pytest.mark.parametrize(
    ("strengths", "problem"),
    [
        ("{jpg_range: [1, 2]}", ".jpg_range: unknown key (did you mean jpeg_range?)"),
        ("{second_blur_prob: 1}", ".second_blur_prob: unknown key (did you mean blur_prob2?)"),
        ("{jpeg_range3: [1, 2]}", ".jpeg_range3: unknown key"),
        ("{1: 2}", ".1: unknown key"),
        ("{jpeg_range: [60, 95], 3: }", ".3: unknown key"),
        ("{jpeg_range: [80, 30]}", ".jpeg_range: [80, 30] should begin with the smaller number"),
        ("{jpeg_range: [30, 101]}", ".jpeg_range: 101 should be less than or equal to 100"),
        ("{jpeg_range2: [1.5, 9]}", ".jpeg_range2: 1.5 should be a valid integer"),
        ("{jpeg_range: 30}", ".jpeg_range: 30 should be a list of 2 numbers"),
        ("{jpeg_range2: 60,95}", ".jpeg_range2: 60,95 should be in brackets; write [60,95]"),
        (
            "{noise_prob: 0, jpeg_range: 60,95, blur_prob: 1}",
            ".jpeg_range: 60,95 should be in brackets; write [60,95]",
        ),
        (
            "{jpeg_range: '60, 95'}",
            ".jpeg_range: '60, 95' should be a list of 2 numbers; write [60, 95]",
        ),
        ("{jpeg_range: [1, 2, 3]}", ".jpeg_range: [1, 2, 3] should be a list of 2 numbers"),
        ("{kernel_prob: [1, 1]}", ".kernel_prob: [1, 1] should be a list of 6 numbers"),
        ("{kernel_prob: [0, 0, 0, 0, 0, 0]}", ".kernel_prob: should have a number above 0"),
        ("{resize_prob2: [1e308, 1, 1]}", ".resize_prob2: 1e+308 should be less than or equal to"),
        ("{kernel_range: [4, 8]}", ".kernel_range: [4, 8] should be two odd numbers"),
        ("{resize_range2: [1.1, 2]}", ".resize_range2: [1.1, 2.0] should have 1 between"),
        ("{noise_prob: 2}", ".noise_prob: 2 should be less than or equal to 1"),
        ("{noise_prob: .nan}", ".noise_prob: nan should be "),
        ("{noise_prob: much}", ".noise_prob: 'much' should be a valid number"),
        ("[noise_prob]", ": ['noise_prob'] should be a mapping of names to values"),
    ],
)
def test_a_mistake_is_one_line_with_the_key(strengths: str, problem: str, tmp_path: Path) -> None:
    text = f"train:\n  degradation: light\n  degradation_strengths: {strengths}\n"
    with pytest.raises(UsageError) as raised:
        load(tmp_path, text)
    message = str(raised.value)
    assert "\n" not in message
    start = f"{tmp_path}/params.yaml:3: train.degradation_strengths"
    assert message.startswith(f"{start}{problem}")


@pytest.mark.parametrize("degradation", ["none", "web"])
def test_strengths_that_nothing_reads_are_named(degradation: str, tmp_path: Path) -> None:
    text = "train:\n  degradation: heavy\n  degradation_strengths: {noise_prob: 0}\n"
    heavy = load(tmp_path, text)
    assert heavy.without_effect == {}
    changed = override(heavy, {"degradation": degradation})
    why = f"train.degradation is {degradation}"
    assert changed.without_effect == {"degradation_strengths": why}


def test_no_strengths_may_be_left_empty(tmp_path: Path) -> None:
    assert load(tmp_path, "train:\n  degradation_strengths:\n").degradation_strengths == {}


def test_the_option_takes_lists(tmp_path: Path) -> None:
    train = TrainParams(degradation="heavy")
    for text in ("noise_prob=0,jpeg_range2=[60,95]", "{noise_prob: 0, jpeg_range2: [60, 95]}"):
        changed = override(train, {"degradation_strengths": text})
        assert changed.degradation_strengths == {"noise_prob": 0, "jpeg_range2": (60, 95)}
    with pytest.raises(UsageError, match=r"^--degradation-strengths: noise_prob: 3 should be "):
        override(train, {"degradation_strengths": "noise_prob=3"})
    for text in (
        "kernel_prob=1,1,0,0,0,0",
        "kernel_prob=(1,1,0,0,0,0)",
        "noise_prob=0,kernel_prob=1,1,0,0,0,0,blur_prob=1",
    ):
        with pytest.raises(UsageError) as raised:
            override(train, {"degradation_strengths": text})
        assert str(raised.value) == (
            "--degradation-strengths: kernel_prob: 1,1,0,0,0,0 should be in brackets; write "
            "kernel_prob=[1,1,0,0,0,0]"
        )
    with pytest.raises(UsageError, match="is no YAML value"):
        override(train, {"degradation_strengths": "jpeg_range=[60"})


def test_a_written_file_reads_back_with_all_comments(tmp_path: Path) -> None:
    text = "train:\n  degradation: heavy\n  degradation_strengths: {jpeg_range: [60, 95]}\n"
    (tmp_path / "params.yaml").write_text(text)
    params = load_params(tmp_path / "params.yaml")
    written = params_text(params)
    assert "    jpeg_range:\n    - 60\n    - 95\n" in written
    assert "# folders of HR images of one's own to train on" in written
    (tmp_path / "params.yaml").write_text(written)
    assert load_params(tmp_path / "params.yaml") == params


def test_no_strength_has_a_value_that_is_in_no_fingerprint() -> None:
    fields = [*OrderStrengths.model_fields.items(), *ChainStrengths.model_fields.items()]
    assert [name for name, field in fields if not field.is_required()] == []
    for stage in ("stages.train", "stages.evaluate"):
        assert "pipeline/images/degradation_presets.py" in code_of(stage)

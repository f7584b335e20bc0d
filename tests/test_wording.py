"""Numbers with their nouns, and what wrong names may mean."""

import pytest

from pipeline.params.degradation import strength_names
from pipeline.shipped import shipped_models
from pipeline.wording import counted, did_you_mean


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1000, "1000 steps")]
)
def test_a_noun_has_the_form_of_its_number(number: int, text: str) -> None:
    assert counted(number, "step") == text


def test_a_plural_may_be_named() -> None:
    assert [counted(number, "process", "processes") for number in (1, 2)] == [
        "1 process",
        "2 processes",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("destortion", "distortion"),
        ("Perception", "perception"),
        ("art", "article-distortion or article-perception"),
        ("nois", "noise_prob or noise_range"),
        ("jpg_range2", "jpeg_range2"),
        ("nosuch", None),
        ("", None),
    ],
)
def test_the_nearest_names_are_asked_for(name: str, meant: str | None) -> None:
    known = [*shipped_models(), *strength_names()]
    assert did_you_mean(name, known) == ("" if meant is None else f" (did you mean {meant}?)")

"""Progress on standard error."""

import pytest

from stages.console import Bar, ConsoleProgress


@pytest.mark.parametrize(
    ("unit", "shown"), [("pixels", "upscale: 1.50M/2.00M "), ("tile", "upscale: 1500000/2000000 ")]
)
def test_only_pixels_are_shown_by_their_millions(
    capsys: pytest.CaptureFixture[str], unit: str, shown: str
) -> None:
    progress = ConsoleProgress()
    progress.start("upscale", 2_000_000, unit)
    progress.update(0)
    progress.update(1_500_000, pictures="1/2")
    progress.finish()
    line = capsys.readouterr().err
    assert line.startswith(shown)
    assert line.endswith(", pictures 1/2\n")


def test_notes_come_with_the_first_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ConsoleProgress()
    progress.note("note: first")
    progress.note("note: second")
    assert capsys.readouterr().err == ""
    progress.start("read", 1, "images")
    assert capsys.readouterr().err == "note: first\nnote: second\n"
    progress.finish()
    progress.note("note: third")
    progress.message("done")
    assert capsys.readouterr().err.endswith("\nnote: third\ndone\n")


@pytest.mark.parametrize(("seconds", "shown"), [(8.0, "8.00s/tile"), (0.25, "4.00 tile/s")])
def test_rates_have_their_space_where_it_belongs(seconds: float, shown: str) -> None:
    meter = Bar.format_meter(1, 4, seconds, unit=" tile", bar_format="{rate_fmt}")
    assert meter.strip() == shown

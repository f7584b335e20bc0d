"""What each method costs."""

import pytest

from pipeline.evaluation import costs
from pipeline.evaluation.costs import Cost, Timings, costs_of
from pipeline.networks import SRResNet


@pytest.fixture
def timings(monkeypatch: pytest.MonkeyPatch) -> Timings:
    """Pictures of several sizes that took 5, 1 and 2 seconds by each of two methods."""
    clock = iter([0, 5, 10, 15, 20, 21, 30, 31, 40, 42, 50, 52])
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(clock))
    measured = Timings()
    for pixels in (500_000, 1_000_000, 250_000):
        for method in ("bicubic", "model"):
            with measured.measure(method, pixels):
                pass
    return measured


def test_costs_are_parameters_and_the_median_seconds_of_a_megapixel(timings):
    model = SRResNet(scale=4, blocks=1, features=8, norm="none", skip="bicubic")
    count = sum(weights.numel() for weights in model.state_dict().values())
    assert costs_of(["bicubic", "model", "theirs"], {"model": model}, timings) == {
        "bicubic": Cost(None, 8.0),
        "model": Cost(count, 8.0),
        "theirs": Cost(None, None),
    }

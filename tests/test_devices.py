"""Which device computes."""

from types import SimpleNamespace

import pytest
import torch

from pipeline import devices
from pipeline.devices import pick_device
from pipeline.errors import UsageError

WHEEL = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((5, 2), WHEEL, False),
        ((6, 1), WHEEL, False),
        ((7, 0), WHEEL, False),
        ((7, 5), WHEEL, True),
        ((8, 9), WHEEL, True),
        ((9, 0), WHEEL, True),
        ((12, 1), WHEEL, True),
        ((13, 0), WHEEL, True),
        ((13, 0), WHEEL[:-1], False),
        ((10, 3), ["sm_100"], True),
        ((10, 3), ["sm_103a"], True),
        ((10, 3), ["sm_100a"], False),
        ((10, 3), [], False),
    ],
)
def test_an_old_gpu_is_named_before_it_fails(
    capability: tuple[int, int],
    architectures: list[str],
    runs: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No such card is here: PyTorch's answers are another machine's."""
    answers = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_capability": lambda index: capability,
        "get_arch_list": lambda: architectures,
        "get_device_name": lambda index: "GTX 970",
    }
    monkeypatch.setattr(devices.torch, "cuda", SimpleNamespace(**answers))
    monkeypatch.setattr(devices.torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(devices.torch.version, "hip", None)
    if runs:
        assert (pick_device("auto").type, pick_device("cuda:0").type) == ("cuda", "cuda")
        assert not caplog.messages
        return
    with pytest.raises(
        UsageError, match=r"^device: cuda: GTX 970 has compute capability \d+\.\d, "
    ):
        pick_device("cuda")
    assert pick_device("auto") == torch.device("cpu")
    assert caplog.messages[0].endswith("; the CPU computes")

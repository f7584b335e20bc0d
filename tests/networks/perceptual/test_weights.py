from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import alexnet, vgg16

from pipeline.networks.perceptual.weights import (
    DOWNLOAD_NAMES,
    Backbone,
    WeightsUnavailableError,
    backbone_shapes,
    backbone_state,
    find_backbone,
    imagenet_weights,
)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder of weights, an empty cache, and a proxy where nobody listens."""
    monkeypatch.delenv("PIPELINE_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def half_precision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both backbones, as smaller files have them."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("vgg16", "alexnet"):
        state = backbone_state(name, "random", seed=3)
        halves = {key: value.half() for key, value in state.items()}
        save_file(halves, folder / f"{name}_features.safetensors")
    return folder


def test_random_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = backbone_state("alexnet", "random", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    same = backbone_state("alexnet", "random", seed=1)
    other = backbone_state("alexnet", "random", seed=2)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["features.0.weight"], other["features.0.weight"])


def test_a_folder_in_the_environment_comes_first(
    half_precision: Path, unreachable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(half_precision))
    state = backbone_state("vgg16", "imagenet")
    expected = backbone_state("vgg16", "random", seed=3)
    assert state.keys() == expected.keys()
    for key, value in state.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=1e-6)
    assert find_backbone("vgg16") is not None


@pytest.mark.parametrize("as_file", [True, False])
def test_a_path_is_taken_and_named(half_precision: Path, as_file: bool) -> None:
    name = "alexnet_features.safetensors"
    path = half_precision / name if as_file else half_precision
    state = backbone_state("alexnet", str(path))
    assert state["features.0.weight"].shape == (64, 3, 11, 11)


def test_without_weights_one_line_says_what_to_do(unreachable: None) -> None:
    assert find_backbone("vgg16") is None
    reports: list[str] = []
    with pytest.raises(WeightsUnavailableError) as raised:
        backbone_state("vgg16", "imagenet", report=reports.append)
    message = str(raised.value)
    assert "\n" not in message
    assert "PIPELINE_WEIGHTS" in message
    assert reports == [
        "vgg16: no ImageNet weights here; trying to download them, 528 MB, once",
    ]


@pytest.mark.parametrize("content", [b"", b"\x08" + b"\0" * 7 + b"{broken}"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vgg16.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsUnavailableError, match="; name another, or put a whole") as raised:
        backbone_state("vgg16", str(path))
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_another_networks_file_is_refused(half_precision: Path) -> None:
    path = half_precision / "alexnet_features.safetensors"
    with pytest.raises(WeightsUnavailableError, match=f"{path}: .*vgg16") as raised:
        backbone_state("vgg16", str(path))
    assert "\n" not in str(raised.value)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailableError, match=str(tmp_path)):
        backbone_state("vgg16", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "holds no vgg16*.safetensors; name a folder that does, or the file itself"),
        ("mistyped", "no such file or folder; name another"),
    ],
)
def test_no_download_is_told_of_where_a_folder_is_named(
    unreachable: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, problem: str
) -> None:
    folder, reports = tmp_path / name, list[str]()
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(folder))
    with pytest.raises(WeightsUnavailableError) as raised:
        backbone_state("vgg16", "imagenet", report=reports.append)
    assert (str(raised.value), reports) == (
        f"PIPELINE_WEIGHTS: {folder}: {problem}; where the variable is not set, they are "
        "downloaded",
        [],
    )


def test_a_folder_with_one_network_leaves_the_other_to_the_cache(
    unreachable: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, cache = tmp_path / "weights", tmp_path / "torch/hub/checkpoints"
    for path in (folder, cache):
        path.mkdir(parents=True)
    (folder / "vgg16.safetensors").touch()
    cached = cache / "alexnet-owt-7be5be79.pth"
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(folder))
    with pytest.raises(WeightsUnavailableError, match=r"weights: holds no alexnet\*\.safetensors"):
        find_backbone("alexnet")
    cached.touch()
    (cache / "vgg16-397923af.pth").touch()
    assert find_backbone("alexnet") == cached
    assert find_backbone("vgg16") == folder / "vgg16.safetensors"
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(tmp_path / "mistyped"))
    with pytest.raises(WeightsUnavailableError, match="mistyped"):
        find_backbone("alexnet")


def test_a_damaged_cache_is_named(
    unreachable: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    (folder / "alexnet-owt-7be5be79.pth").write_bytes(b"cut off")
    with pytest.raises(WeightsUnavailableError, match=r"alexnet-owt-7be5be79\.pth") as raised:
        backbone_state("alexnet", "imagenet")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "builder"), [("vgg16", vgg16), ("alexnet", alexnet)])
def test_shapes_and_names_are_torchvisions(
    name: Backbone, builder: Callable[[], nn.Module]
) -> None:
    with torch.device("meta"):
        state = builder().state_dict()
    convolutions = {key: value.shape for key, value in state.items() if key.startswith("features.")}
    assert backbone_shapes(name) == convolutions
    assert imagenet_weights(name).url.endswith(f"/{DOWNLOAD_NAMES[name]}")


def test_random_weights_have_a_variance_of_2_over_fan_out() -> None:
    """As torchvision initialises them."""
    state = backbone_state("vgg16", "random", seed=1)
    deviation = state["features.28.weight"].std().item()
    assert deviation == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
    assert not state["features.28.bias"].any()

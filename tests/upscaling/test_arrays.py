"""Arrays, tensors and images of any kind: a right result, or an error that says what to do."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import Upscaler
from pipeline.errors import UsageError
from pipeline.networks import SRResNet, tiles
from tests.docs.pages import blocks
from tests.upscaling.small import bicubic, generator, noise


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(generator(), device="cpu", precision="fp32")


LR = noise(9, 12)
FLOATS = (LR / 255).astype(np.float32)


@pytest.mark.parametrize(
    "same",
    [
        np.asfortranarray(LR),
        np.ascontiguousarray(LR[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
        np.frombuffer(LR.tobytes(), np.uint8).reshape(LR.shape),
        np.repeat(LR, 2, 1)[:, ::2],
    ],
    ids=["Fortran order", "negative strides", "read only", "steps"],
)
def test_the_order_in_memory_does_not_matter(upscaler: Upscaler, same: np.ndarray) -> None:
    before = same.copy()
    assert (upscaler(same) == upscaler(LR)).all()
    assert (same == before).all()


@pytest.mark.parametrize("dtype", [">u2", ">f4", ">f8"])
def test_the_order_of_bytes_does_not_matter(upscaler: Upscaler, dtype: str) -> None:
    swapped = (FLOATS if dtype[1] == "f" else noise(9, 12, 3, np.uint16)).astype(dtype)
    native = swapped.astype(swapped.dtype.newbyteorder("="))
    assert upscaler(swapped).dtype == dtype
    assert (upscaler(swapped) == upscaler(native)).all()


@pytest.mark.parametrize(
    ("dtype", "step"), [(torch.float16, 2**-11), (torch.bfloat16, 2**-8), (torch.float64, 1e-7)]
)
def test_floats_of_any_size_come_back_as_such(
    upscaler: Upscaler, dtype: torch.dtype, step: float
) -> None:
    lr = torch.from_numpy(FLOATS).permute(2, 0, 1).to(dtype)
    hr = upscaler(lr)
    assert hr.dtype == dtype
    assert (hr.double() - upscaler(lr.float()).double()).abs().max() <= step
    if dtype != torch.bfloat16:
        assert upscaler(lr.numpy().transpose(1, 2, 0)).dtype == lr.numpy().dtype


def test_batches_in_every_order_of_dimensions(upscaler: Upscaler) -> None:
    frames = np.random.default_rng(0).random((2, 3, 9, 12, 4), np.float32)
    expected = np.stack([[upscaler(frame) for frame in row] for row in frames])
    channels_first = np.moveaxis(frames, -1, -3)
    results = [
        upscaler(frames),
        np.moveaxis(upscaler(channels_first, layout="NCHW"), -3, -1),
        upscaler(torch.from_numpy(frames), layout="NHWC").numpy(),
        upscaler(torch.from_numpy(channels_first.copy())).movedim(-3, -1).numpy(),
    ]
    for result in results:
        np.testing.assert_array_equal(result, expected)
    assert all(result.flags["C_CONTIGUOUS"] for result in results[:1])


def test_a_node_of_comfyui_is_four_lines(upscaler: Upscaler) -> None:
    """Images there are `(n, h, w, c) float32 in [0, 1]`."""

    class Node:
        def run(self, image: torch.Tensor) -> tuple[torch.Tensor]:
            return (upscaler(image, layout="NHWC"),)

    images = torch.rand(2, 9, 12, 3)
    (result,) = Node().run(images)
    assert (result.shape, result.dtype, result.is_contiguous()) == (
        (2, 36, 48, 3),
        torch.float32,
        True,
    )
    one = upscaler(images[1].permute(2, 0, 1).contiguous()).permute(1, 2, 0)
    torch.testing.assert_close(result[1], one)


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_go_through_the_network_together(
    monkeypatch: pytest.MonkeyPatch, channels: int, batch: int
) -> None:
    sizes = []

    class Watched(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            if lr.shape[-1] == 12:  # not what measures the network's memory
                sizes.append(len(lr))
            return super().forward(lr)

    torch.manual_seed(0)
    upscaler = Upscaler(
        Watched(blocks=1, features=8, norm="none"), device="cpu", tile=16, precision="fp32"
    )
    lr = torch.rand(3, channels, 9, 12)
    one_by_one = torch.stack([upscaler(picture) for picture in lr])
    sizes.clear()
    windows = 2 if channels == 4 else 1
    monkeypatch.setattr(tiles, "CPU_PIXELS", batch * windows * 16**2)
    torch.testing.assert_close(upscaler(lr), one_by_one)
    assert sizes == [windows * number for number in {1: (1, 1, 1), 2: (2, 1), 8: (3,)}[batch]]


def test_where_memory_runs_out_pictures_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hungry(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            if len(lr) > 1:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(lr)

    upscaler = Upscaler(Hungry(blocks=1, features=8, norm="none"), device="cpu", tile=32)
    lr = torch.rand(3, 3, 9, 12)
    expected = torch.stack([upscaler(picture) for picture in lr])
    monkeypatch.setattr(tiles, "CPU_PIXELS", 3 * 32**2)
    assert torch.equal(upscaler(lr), expected)


def test_a_list_gives_a_list(upscaler: Upscaler) -> None:
    images = [Image.fromarray(LR), Image.new("LA", (5, 4))]
    results = upscaler(images)
    assert [(image.mode, image.size) for image in results] == [("RGB", (48, 36)), ("LA", (20, 16))]
    assert (np.asarray(results[0]) == upscaler(LR)).all()
    assert upscaler([]) == []


def test_what_rounding_leaves_beyond_is_clamped(upscaler: Upscaler) -> None:
    slightly = np.where(FLOATS > 0.5, 1.0015, -1e-6).astype(np.float32)
    assert (upscaler(slightly) == upscaler(slightly.clip(0, 1))).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("picture.png", "str is no picture: open files with PIL.Image.open"),
        (Path("picture.png"), "PosixPath is no picture: open files with PIL.Image.open"),
        (b"\x89PNG", "bytes is no picture"),
        (None, "NoneType is no picture"),
        ([[1, 2], [3, 4]], "int is no picture"),
        (FLOATS * 255, "floats are from 0 to 255, and pixels from 0, black, to 1, white: divide"),
        (FLOATS.astype(np.float64) * 2 - 1, "floats are from -1 to 1"),
        (torch.full((3, 4, 4), 1.01), "floats are from 1.01 to 1.01"),
        (np.where(FLOATS > 0.9, np.nan, FLOATS), "NaN or infinity"),
        (np.where(FLOATS > 0.9, np.inf, FLOATS), "NaN or infinity"),
        (LR.astype(np.int64), "these int64: divide by the value of white, as floats"),
        (LR.astype(np.int8), "these int8: divide"),
        (LR.astype(np.uint32), "these uint32: divide"),
        (LR > 9, "these bool: multiply by 255, as uint8"),
        (torch.zeros(3, 4, 4, dtype=torch.bool), "these torch.bool: multiply"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), "these torch.int32: divide"),
        (LR.astype(object), "these object: convert"),
        (LR.astype(complex), "these complex128: convert"),
        (LR.transpose(2, 0, 1), "for channels at -3 pass layout='NCHW'"),
        (torch.from_numpy(LR), "for channels at -1 pass layout='NHWC'"),
        (noise(7, 4, 5), r"shape \(7, 4, 5\), read as NHWC, has not 1 to 4 channels: grey"),
        (np.zeros(7, np.uint8), r"shape \(7,\)"),
        (np.uint8(7), "uint8 is no picture"),
        (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
        (np.ma.masked_equal(LR, 7), r"masked: give them, as by image\.filled"),
        (np.ma.array(LR), "masked array"),
        (torch.from_numpy(FLOATS).to_sparse(), r"torch\.sparse_coo is no picture; pass image\.to_"),
        (Image.new("RGB", (0, 4)), "has no pixels"),
        (Image.new("F", (4, 4)), "mode F does not define the value of white; pass an array"),
        (Image.new("I", (4, 4)), "mode I does not define the value of white; pass an array"),
    ],
)
def test_what_is_no_picture_is_refused(upscaler: Upscaler, image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        upscaler(image)


def test_an_unknown_layout_is_named(upscaler: Upscaler) -> None:
    with pytest.raises(ValueError, match="layout: HWC is unknown; use NCHW or NHWC"):
        upscaler(LR, layout="HWC")  # type: ignore[call-overload]


def test_a_model_of_another_kind_is_named() -> None:
    with pytest.raises(UsageError, match="model: Conv2d is none; use a name, a file"):
        Upscaler(torch.nn.Conv2d(3, 3, 3))  # type: ignore[arg-type]


def test_a_tensor_with_gradients_gives_a_result_without(upscaler: Upscaler) -> None:
    lr = torch.rand(4, 9, 12, requires_grad=True)
    assert not upscaler(lr).requires_grad


def test_the_users_generator_stays_as_it_is() -> None:
    network = generator().train()
    before = deepcopy(network.state_dict())
    Upscaler(network, device="cpu", precision="bf16")(LR)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.body[0] is not None


@pytest.mark.parametrize("copied", [deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_does_the_same(copied: Any) -> None:
    for model in (bicubic(), "distortion"):
        upscaler = Upscaler(model, device="cpu", scale=3, seamless=True)
        assert (copied(upscaler)(LR) == upscaler(LR)).all()


def test_threads_share_an_upscaler(upscaler: Upscaler) -> None:
    pictures = [noise(side, 20, 4) for side in range(9, 21)]
    expected = [upscaler(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(upscaler, pictures))
    assert all((a == b).all() for a, b in zip(results, expected, strict=True))


FORKED = """
import multiprocessing
import numpy as np
import torch
from pipeline import Upscaler

upscaler = Upscaler("distortion", device="cpu", precision="fp32")
torch.set_num_threads(2)
lr = np.arange(2700, dtype=np.uint8).reshape(30, 30, 3)
expected = upscaler(lr)

def compare():
    raise SystemExit(0 if (upscaler(lr) == expected).all() else 3)

process = multiprocessing.get_context("fork").Process(target=compare)
process.start()
process.join(60)
process.kill()
print(process.exitcode)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_forked_process_computes() -> None:
    """It waited for ever for the threads that PyTorch has in its parent."""
    command = [sys.executable, "-c", FORKED]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "0\n"


@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise(20, 30)).save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    examples = [one for one in blocks("python") if one.location.startswith("docs/reference/python")]
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example.text, example.location, "exec"), names)
    assert {name: names[name].shape for name in ("array", "batch", "nhwc")} == {
        "array": (40, 60, 3),
        "batch": (8, 3, 80, 120),
        "nhwc": (8, 80, 120, 3),
    }
    assert [image.mode for image in (names["large"], *names["images"])] == ["RGB", "RGB", "L"]
    (image,) = names["AnimeUpscale"]().run(torch.rand(1, 9, 12, 3))
    assert image.shape == (1, 36, 48, 3)

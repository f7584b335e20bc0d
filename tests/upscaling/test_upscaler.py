"""Enlarging arrays, tensors and images: seams, depth, alpha, scales, precision."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import pipeline.upscaling.upscaler
from pipeline import Upscaler
from pipeline.errors import MachineFaultError, PipelineError, UsageError
from pipeline.images.cicp import Cicp
from pipeline.networks import PLKSR, RCAN, SPAN, Compact, Generator, RRDBNet, SRResNet
from pipeline.networks.files import load_generator, save_generator
from pipeline.networks.self_ensemble import self_ensemble
from pipeline.shipped import shipped_models
from pipeline.upscaling.pictures import Picture
from tests.upscaling.small import bicubic, generator, noise


def test_the_example_is_true() -> None:
    assert doctest.testmod(pipeline.upscaling.upscaler) == (0, 4)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(generator(), device="cpu")


@pytest.mark.parametrize("tile", [16, 31, 64, None])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_tiles_of_the_articles_generator_leave_no_trace(tile: int | None, precision: str) -> None:
    """In bf16 a processor's matrix unit, AMX, adds tiles of other sizes in another order."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    levels = 1 if precision == "bf16" and capabilities.get("amx_bf16") else 0
    torch.manual_seed(0)
    network = SRResNet(norm="none", skip="bicubic")
    torch.nn.init.normal_(network.tail.weight, std=0.01)
    lr = noise(70, 90)
    untiled = Upscaler(network, tile=128, device="cpu", precision=precision)(lr)
    tiled = Upscaler(network, tile=tile, device="cpu", precision=precision)(lr)
    np.testing.assert_allclose(tiled.astype(int), untiled.astype(int), rtol=0, atol=levels)


@pytest.mark.parametrize("name", ["distortion", "perception"])
def test_tiles_of_the_shipped_generators_leave_no_trace(name: str) -> None:
    lr = noise(100, 90)
    untiled = Upscaler(name, tile=128, device="cpu")(lr)
    assert (Upscaler(name, tile=40, device="cpu")(lr) == untiled).all()


def test_tta_is_the_mean_of_all_views_and_tiles_leave_no_trace_in_it() -> None:
    lr = torch.rand(3, 50, 70)
    with torch.no_grad():
        expected = self_ensemble(generator(), lr[None])[0].clamp(0, 1)
    upscaler = Upscaler(
        generator(), tta=True, consistency=False, tile=16, device="cpu", precision="fp32"
    )
    torch.testing.assert_close(upscaler(lr), expected)


@pytest.mark.parametrize(
    ("model", "scale", "size"),
    [(3, None, (27, 21)), (3, 4, (36, 28)), (3, 2, (18, 14)), (1, None, (9, 7)), (1, 0.5, (4, 4))],
)
def test_a_model_of_any_scale_makes_any_size(
    model: int, scale: float | None, size: tuple[int, int]
) -> None:
    upscaler = Upscaler(generator(model), scale=scale, device="cpu")
    assert upscaler(noise(7, 9)).shape[1::-1] == size


@pytest.mark.parametrize("model", [1, 2, 3, 8])
def test_results_of_any_scale_are_the_networks_own(model: int) -> None:
    """Tile by tile, and without what makes them consistent."""
    network, lr = generator(model, skip="bicubic"), noise(40, 53)
    upscaler = Upscaler(network, tile=16, consistency=False, device="cpu", precision="fp32")
    expected = network.enlarge(torch.from_numpy(lr).permute(2, 0, 1)[None])[0]
    difference = upscaler(lr).astype(int) - expected.permute(1, 2, 0).numpy().astype(int)
    assert abs(difference).max() <= 1


@pytest.mark.parametrize("scale", [4, 3])
def test_tiles_of_consistent_results_leave_no_trace(scale: float) -> None:
    lr = torch.from_numpy(noise(50, 70) / np.float32(255)).permute(2, 0, 1)
    whole, tiled = (
        Upscaler(generator(), scale=scale, tile=tile, device="cpu", precision="fp32")(lr)
        for tile in (128, 16)
    )
    torch.testing.assert_close(tiled, whole)


def test_a_callers_autocast_costs_no_precision() -> None:
    upscaler = Upscaler(generator(), device="cpu", precision="fp32")
    lr = noise(20, 24)
    expected = upscaler(lr)
    with torch.autocast("cpu", torch.bfloat16):
        assert (upscaler(lr) == expected).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_grey_in_rgb_stays_grey_and_is_that_of_a_grey_picture(channels: int) -> None:
    upscaler = Upscaler(generator(), tile=16, device="cpu")
    grey = noise(30, 30, channels - 2)
    colours = np.concatenate([grey[..., :1].repeat(3, 2), grey[..., 1:]], 2)
    batch = upscaler(np.stack([colours, noise(30, 30, channels)]))
    expected = upscaler(grey)

    assert (batch[0][..., :3] == expected[..., :1]).all()
    assert (batch[0][..., 3:] == expected[..., 1:]).all()
    assert (batch[1] == upscaler(noise(30, 30, channels))).all()


@pytest.mark.parametrize("frames", [1, 3])
def test_there_is_room_for_the_encoder(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    upscaler = Upscaler(generator(), device="cpu")
    picture = Picture(tuple(noise(10, 10) for _ in range(frames)), frame_durations_ms=(9,) * frames)
    monkeypatch.setattr(pipeline.upscaling.upscaler, "free_memory", lambda _: 10**9)
    upscaler.upscale_picture(picture, encoder_bytes=10**8)
    with pytest.raises(MachineFaultError, match="while it is made"):
        upscaler.upscale_picture(picture, encoder_bytes=10**9)


@pytest.mark.parametrize("name", ["distortion", "perception", "web", "article-perception"])
@pytest.mark.parametrize("colour", [(0, 255, 0), (255, 0, 255), (255, 255, 0)])
def test_flat_colours_stay_flat_up_to_a_pictures_border(
    name: str, colour: tuple[int, int, int]
) -> None:
    lr = np.full((40, 32, 3), colour, np.uint8)
    lr[12:28, 10:22] = 255, 220, 200
    sr = Upscaler(name, device="cpu")(lr).astype(int)

    flat = np.ones((160, 128), bool)
    flat[4 * 10 : 4 * 30, 4 * 8 : 4 * 24] = False
    assert np.abs(sr[flat] - colour).max() <= 2


def test_what_enlarges_nothing_is_no_matter_of_consistency() -> None:
    class Inverted(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return 1 - lr

    network = Inverted(blocks=1, features=8, norm="none")
    network.scale = 1
    lr = noise(20, 20)
    assert (Upscaler(network, device="cpu")(lr) == 255 - lr).all()


@pytest.mark.parametrize(
    ("network", "deviation"),
    [
        (RRDBNet(blocks=6, features=8, growth=4), 0.17),
        (RCAN(groups=6, blocks=4, features=16), 0.08),
    ],
    ids=["rrdb", "rcan"],
)
def test_seams_of_networks_that_look_further_than_tiles_overlap(
    network: Generator, deviation: float
) -> None:
    """RRDB-6 has a receptive radius of 94; RCAN's attention sees the mean of the whole picture.

    With an overlap of 8 these weights give seams of 16 and 66 levels.
    """
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=deviation)
    lr = noise(40, 260)
    untiled = Upscaler(network, tile=260, device="cpu", precision="fp32")(lr).astype(int)
    tiled = Upscaler(network, tile=40, device="cpu", precision="fp32")(lr)
    assert len(np.unique(untiled)) == 256
    assert np.abs(tiled - untiled).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (17, 5)])
def test_any_array_becomes_four_times_as_large(
    upscaler: Upscaler, size: tuple[int, int], channels: int, dtype: type
) -> None:
    hr = upscaler(noise(*size, channels, dtype))
    assert (hr.shape, hr.dtype) == ((size[0] * 4, size[1] * 4, channels), dtype)


def test_a_flat_array_stays_flat(upscaler: Upscaler) -> None:
    grey = noise(6, 7, 1)
    assert (upscaler(grey[..., 0]) == upscaler(grey)[..., 0]).all()


def test_arrays_tensors_and_images_give_the_same(upscaler: Upscaler) -> None:
    lr = noise(9, 12)
    hr = upscaler(lr)
    as_tensor = torch.from_numpy(lr).permute(2, 0, 1)
    assert (upscaler(as_tensor).permute(1, 2, 0).numpy() == hr).all()
    assert (upscaler(as_tensor.repeat(2, 1, 1, 1))[1].permute(1, 2, 0).numpy() == hr).all()
    assert (np.asarray(upscaler(Image.fromarray(lr))) == hr).all()


def test_floats_stay_unrounded() -> None:
    lr = torch.rand(2, 3, 9, 11)
    expected = F.interpolate(lr, scale_factor=4, mode="bicubic").clamp(0, 1)
    torch.testing.assert_close(Upscaler(bicubic(), consistency=False, device="cpu")(lr), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_only_what_is_rounded_to_eight_bits_is_computed_in_bf16(dtype: torch.dtype) -> None:
    computed: list[bool] = []

    class Watched(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            computed.append(torch.is_autocast_enabled("cpu"))
            return super().forward(lr)

    network = Watched(blocks=1, features=8, norm="none")
    upscaler = Upscaler(network, tile=32, device="cpu", precision="bf16")
    upscaler(torch.zeros(3, 8, 8, dtype=dtype))
    assert computed[-1] == (dtype == torch.uint8)


@pytest.mark.parametrize(
    ("precision", "widths"), [("bf16", [80, 96, 96, 80]), ("fp32", [75, 90, 90, 75])]
)
def test_windows_in_bf16_on_a_cpu_are_of_widths_that_are_fast(
    precision: str, widths: list[int]
) -> None:
    computed = []

    class Watched(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            computed.append(lr.shape[3])
            return super().forward(lr)

    network = Watched(blocks=1, features=8, norm="none", upsampling="direct")
    Upscaler(network, tile=60, device="cpu", precision=precision)(noise(20, 240))
    assert computed[-4:] == widths


def test_sixteen_bits_are_sixteen() -> None:
    lr = noise(8, 8, 3, np.uint16)
    expected = F.interpolate(
        torch.from_numpy(lr).permute(2, 0, 1)[None].float() / 65535, scale_factor=4, mode="bicubic"
    )
    upscaler = Upscaler(bicubic(), consistency=False, device="cpu", precision="bf16")
    hr = upscaler(lr).astype(np.float32)
    exact = expected[0].clamp(0, 1).permute(1, 2, 0).numpy() * 65535
    assert np.abs(hr - exact).max() <= 0.6


def test_alpha_is_a_picture_of_its_own() -> None:
    lr = noise(8, 8, 4)
    upscaler = Upscaler(bicubic(), device="cpu", precision="fp32")
    hr = upscaler(lr)
    alpha = np.repeat(lr[..., 3:], 3, axis=2)
    around = np.pad(lr[..., 3], 1, mode="edge")
    near = np.lib.stride_tricks.sliding_window_view(around, (3, 3)).reshape(8, 8, 9)
    least, most = (
        limit.repeat(4, 0).repeat(4, 1) for limit in (near.min(axis=2), near.max(axis=2))
    )
    assert (hr[..., 3] == upscaler(alpha)[..., 0].clip(least, most)).all()


@pytest.mark.parametrize("name", ["distortion", "perception"])
def test_no_haze_is_left_where_nothing_was(name: str) -> None:
    lr = np.zeros((48, 64, 4), np.uint8)
    rows, columns = np.mgrid[:48, :64]
    inside = (rows - 24) ** 2 + (columns - 32) ** 2 <= 16**2
    lr[inside] = (200, 40, 60, 255)
    alpha = Upscaler(name, device="cpu")(lr)[..., 3]
    near = F.max_pool2d(torch.from_numpy(inside)[None].float(), 3, 1, 1)[0].bool().numpy()
    assert (alpha[~near.repeat(4, 0).repeat(4, 1)] == 0).all()
    assert alpha[96, 128] == 255


def test_hidden_colours_do_not_bleed() -> None:
    """A red square on what is transparent and, underneath, green."""
    lr = np.zeros((12, 12, 4), np.uint8)
    lr[:] = (0, 255, 0, 0)
    lr[4:8, 4:8] = (255, 0, 0, 255)
    hr = Upscaler(bicubic(), device="cpu", precision="fp32")(lr)
    visible = hr[..., 3] > 0
    assert visible.any()
    assert (hr[visible][:, 1] == 0).all()
    assert (hr[visible & (hr[..., 3] > 16)][:, 0] >= 254).all()


def test_what_is_opaque_stays_opaque(upscaler: Upscaler) -> None:
    lr = noise(8, 8, 4)
    lr[..., 3] = 255
    hr = upscaler(lr)
    assert (hr[..., 3] == 255).all()
    assert (hr[..., :3] == upscaler(lr[..., :3])).all()


@pytest.mark.parametrize(
    ("scale", "size"), [(1, (9, 14)), (2, (18, 28)), (2.5, (22, 35)), (4, (36, 56)), (6, (54, 84))]
)
@pytest.mark.parametrize("channels", [3, 4])
def test_other_scales(scale: float, size: tuple[int, int], channels: int) -> None:
    hr = Upscaler(generator(), scale=scale, device="cpu")(noise(9, 14, channels))
    assert hr.shape == (*size, channels)


def test_scale_two_is_the_result_made_smaller() -> None:
    lr = torch.rand(3, 9, 14)
    four = Upscaler(generator(), device="cpu")(lr)
    two = F.interpolate(four[None], (18, 28), mode="bicubic", antialias=True)[0].clamp(0, 1)
    torch.testing.assert_close(Upscaler(generator(), scale=2, device="cpu")(lr), two)


@pytest.mark.parametrize(
    "network",
    [
        SRResNet(scale=1, blocks=1, features=8, norm="none"),
        RRDBNet(scale=1, blocks=1, features=8, growth=4),
        RCAN(scale=1, groups=1, blocks=1, features=8, reduction=4),
        Compact(scale=1, blocks=1, features=8),
        SPAN(scale=1, features=8),
        PLKSR(scale=1, blocks=1, features=8, kernel=5),
    ],
    ids=["srresnet", "rrdb", "rcan", "compact", "span", "plksr"],
)
def test_a_model_that_enlarges_nothing_is_applied_once(network: Generator, tmp_path: Path) -> None:
    lr = torch.rand(3, 9, 14)
    with torch.no_grad():
        expected = network.eval()(lr[None])[0].clamp(0, 1)
    assert not torch.equal(expected, lr)
    save_generator(tmp_path / "model.safetensors", network, {})
    for model in (network, tmp_path / "model.safetensors"):
        upscaler = Upscaler(model, device="cpu", precision="fp32")
        assert upscaler.scale == 1
        torch.testing.assert_close(upscaler(lr), expected)
    assert Upscaler(network, scale=1, device="cpu")(noise(9, 14, 4)).shape == (9, 14, 4)


def test_no_repetition_of_a_model_that_enlarges_nothing_enlarges() -> None:
    with pytest.raises(UsageError, match="scale: this model makes pictures no larger"):
        Upscaler(generator(scale=1), scale=2, device="cpu")


def test_frames_are_enlarged_one_by_one(upscaler: Upscaler) -> None:
    frames = (noise(5, 6), noise(6, 5).transpose(1, 0, 2))
    picture = upscaler.upscale_picture(Picture(frames, frame_durations_ms=(40, 60), loops=3))
    assert [(a == upscaler(b)).all() for a, b in zip(picture.frames, frames, strict=True)] == [
        True
    ] * 2
    assert (picture.frame_durations_ms, picture.loops) == ((40, 60), 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "I;16", "LA", "RGBA"])
def test_images_of_any_mode(upscaler: Upscaler, mode: str) -> None:
    kept = mode if mode in ("L", "I;16", "LA", "RGBA") else "L" if mode == "1" else "RGB"
    result = upscaler(Image.new(mode, (8, 6)))
    assert (result.size, result.mode) == ((32, 24), kept)


def test_grey_of_16_bits_stays_grey_with_a_profile_for_rgb(upscaler: Upscaler) -> None:
    image = Image.fromarray(noise(6, 8, 1, np.uint16)[..., 0])
    plain = upscaler(image)
    image.info["icc_profile"] = Cicp(12, 8).info(grey=False)["icc_profile"]
    result = upscaler(image)
    assert (result.mode, result.info["icc_profile"]) == ("I;16", image.info["icc_profile"])
    assert (np.asarray(result) == np.asarray(plain)).all()


def test_an_overflow_of_bf16_is_computed_again() -> None:
    """bf16 ends where fp32 does, but a network may hold values that fp32 alone adds up soundly."""

    class Overflows(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            sr = super().forward(lr)
            broken = torch.is_autocast_enabled("cpu")
            return sr * float("nan") if broken else sr

    torch.manual_seed(0)
    network = Overflows(blocks=1, features=8, norm="none")
    lr = noise(6, 6)
    again = Upscaler(network, device="cpu", precision="bf16")(lr)
    assert (again == Upscaler(network, device="cpu", precision="fp32")(lr)).all()


def test_broken_weights_give_no_picture() -> None:
    broken = generator()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(PipelineError, match="not finite"):
        Upscaler(broken, device="cpu")(noise(8, 8))


def test_where_memory_runs_out_tiles_become_smaller() -> None:
    class Hungry(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            if lr.shape[-1] > 100:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(lr)

    torch.manual_seed(0)
    network = Hungry(blocks=1, features=8, norm="none")
    lr = noise(40, 200)
    expected = Upscaler(network, tile=40, device="cpu")(lr)
    assert (Upscaler(network, tile=160, device="cpu")(lr) == expected).all()
    with pytest.raises(PipelineError, match="memory ran out, even with tiles of 32 pixels"):
        Upscaler(Hungry(blocks=40, features=2, norm="none"), tile=64, device="cpu")(lr)


def test_another_error_that_speaks_of_memory_is_no_lack_of_it() -> None:
    class Wrong(SRResNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            if lr.shape[-1] > 16:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            return super().forward(lr)

    upscaler = Upscaler(Wrong(blocks=1, features=8, norm="none"), tile=64, device="cpu")
    with pytest.raises(RuntimeError, match="illegal memory access"):
        upscaler(noise(20, 20))


def test_what_memory_cannot_hold_is_refused_at_once() -> None:
    endless = torch.zeros(1, dtype=torch.uint8).expand(3, 10**6, 10**6)
    with pytest.raises(PipelineError, match=r"the result takes 48000\.0 GB, 4800.\.. while it is"):
        Upscaler(generator(), device="cpu")(endless)


def test_alpha_mixes_the_shipped_generators() -> None:
    lr = noise(12, 12)
    ends = [
        Upscaler(name, device="cpu", precision="fp32")(lr) for name in ("distortion", "perception")
    ]
    mixed = [Upscaler(alpha=alpha, device="cpu", precision="fp32")(lr) for alpha in (0, 0.5, 1)]
    assert (mixed[0] == ends[0]).all()
    assert (mixed[2] == ends[1]).all()
    assert (mixed[1] != ends[0]).any()
    assert (mixed[1] != ends[1]).any()


@pytest.mark.parametrize(
    ("options", "size", "passes"),
    [
        ({}, (48, 36), 1),
        ({"scale": 1}, (12, 9), 1),
        ({"scale": 0.5}, (6, 4), 0),
        ({"scale": 4.5}, (54, 40), 2),
        ({"width": 48}, (48, 36), 1),
        ({"width": 50}, (50, 38), 2),
        ({"height": 9}, (12, 9), 1),
        ({"height": 8}, (11, 8), 0),
        ({"width": 100, "height": 18}, (24, 18), 1),
        ({"width": 1}, (1, 1), 0),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_results_have_the_size_that_is_named(
    options: dict[str, Any], size: tuple[int, int], passes: int, channels: int
) -> None:
    upscaler = Upscaler(generator(), device="cpu", **options)
    assert (upscaler.size_of(12, 9), upscaler.passes(12, 9)) == (size, passes)
    for dtype in (np.uint8, np.uint16):
        result = upscaler(noise(9, 12, channels, dtype))
        assert (result.shape, result.dtype) == ((size[1], size[0], channels), dtype)


def test_a_model_that_enlarges_nothing_makes_no_picture_larger() -> None:
    upscaler = Upscaler(generator(scale=1), width=20, device="cpu")
    assert upscaler(noise(9, 20)).shape == (9, 20, 3)
    assert upscaler(noise(18, 40)).shape == (9, 20, 3)
    with pytest.raises(PipelineError, match="this model makes pictures no larger"):
        upscaler(noise(9, 12))


def test_a_file_is_as_good_as_a_name() -> None:
    lr = noise(8, 8)
    path = shipped_models()["distortion"]
    named = Upscaler("distortion", device="cpu")(lr)
    assert (Upscaler(path, device="cpu")(lr) == named).all()
    assert (Upscaler(load_generator(Path(path)).generator, device="cpu")(lr) == named).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale: 0 is not between 0.01 and 16"),
        ({"alpha": 0.5, "model": generator()}, "name no model"),
        ({"scale": 2, "width": 9}, "scale: width and height take its place"),
        ({"scale": 17}, "scale: 17"),
        ({"alpha": 1.5}, "alpha: 1.5 is not between 0 and 1"),
        ({"alpha": 0.5, "model": "distortion"}, "name no model"),
        ({"precision": "fp16"}, "precision: fp16 is unknown"),
        ({"device": "tpu"}, "device: tpu"),
        ({"tile": 0}, "tile: 0"),
        ({"model": "best"}, "best is no file"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Upscaler(**options)

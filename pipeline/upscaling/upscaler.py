"""A generator applied to a picture of any size, in tiles, so that memory stays bounded."""

import math
import os
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline.devices import free_memory, pick_device, uses_bf16
from pipeline.errors import PipelineError, UsageError
from pipeline.images.decode import ImageRefused
from pipeline.machine_errors import is_memory_fault
from pipeline.networks import Generator
from pipeline.networks.blending import blend_generators
from pipeline.networks.files import load_generator
from pipeline.networks.folding import fold
from pipeline.networks.self_ensemble import self_ensemble
from pipeline.networks.tiles import (
    SMALLEST_TILE,
    Window,
    aligned_tile,
    best_batch,
    best_tile,
    tile_bytes,
    tile_overlap,
    tile_windows,
)
from pipeline.progress import Progress, Silent, task
from pipeline.shipped import DEFAULT, model_file
from pipeline.upscaling.arrays import Layout, from_batch, to_batch
from pipeline.upscaling.consistency import REACH, make_consistent
from pipeline.upscaling.params import upscale_params
from pipeline.upscaling.pictures import Picture, from_pil, to_pil
from pipeline.upscaling.strips import RADIUS, StripResizer, resize, strip_bytes, wrapped
from pipeline.upscaling.target_size import target_size
from pipeline.upscaling.transparency import (
    WHITE_LEVELS,
    clamp_to_neighbours,
    from_unit_range,
    picture_has_alpha,
    premultiply,
    to_unit_range,
    unpremultiply,
)

# A forked process has none of PyTorch's threads, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))

FRAME_COPIES = 4
"""How often the frames of a result are in memory while an animation is encoded."""

I = TypeVar("I", Image.Image, NDArray[Any], Tensor)  # noqa: E741


class Upscaler:
    """Enlarges pictures: returns what it was called with, of the same type, `scale` times as large.

    Examples:
        >>> import numpy as np
        >>> from pipeline import Upscaler
        >>> upscaler = Upscaler("distortion", device="cpu")
        >>> upscaler(np.full((20, 30, 3), 255, np.uint8)).shape
        (80, 120, 3)

    `model`: the name of a generator that comes with the program, a file of ours or any that
    spandrel opens, an ONNX file, or a `Generator`, of which a copy is used. `alpha`: instead of a
    model, a blend of the shipped ones, 0 "distortion" to 1 "perception". `scale`: None is the
    model's own; others, up to 16, by repeating it and a last antialiased resize, below 1 by the
    resize alone. `width`, `height`: instead, the result's, pixels; with both it fits into them.
    `tta`: the mean over the picture turned and mirrored, eight times the time. `seamless`: opposite
    borders of the result meet, for textures that tile. `consistency`: local means and the range of
    values stay those of the picture, by `make_consistent`, unless the model enlarges nothing.
    `tile`: side of a tile, 16 LR pixels or more; None: by free memory. `precision`: "fp32", "bf16",
    or "auto" for bf16 where the hardware computes in it. Raises `UsageError` and, for a file that
    is no generator, `PipelineError`.

    Several threads may call it at once, and forked processes, which compute in one thread. It can
    be pickled and copied.
    """

    def __init__(
        self,
        model: str | Path | Generator = DEFAULT,
        *,
        alpha: float | None = None,
        scale: float | None = None,
        width: int | None = None,
        height: int | None = None,
        tta: bool = False,
        seamless: bool = False,
        consistency: bool = True,
        tile: int | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        params = upscale_params(
            alpha=alpha,
            scale=scale,
            width=width,
            height=height,
            tta=tta,
            seamless=seamless,
            consistency=consistency,
            tile=tile,
            device=device,
            precision=precision,
        )
        self._tta, self._seamless, self._tile = params.tta, params.seamless, params.tile
        self._device = pick_device(params.device)
        self._bf16 = uses_bf16(params.precision, self._device)
        generator = _load(model, params.alpha)
        self.scale = float(generator.scale if params.scale is None else params.scale)
        if generator.scale == 1 < self.scale:
            raise UsageError("scale: this model makes pictures no larger")
        self._target_size = target_size(params, generator.scale)
        # Models that do not enlarge exist to change colours and details.
        self._consistent = params.consistency and generator.scale > 1
        self._generator = fold(generator).float().to(self._device)
        self._generator.to(memory_format=self._generator.memory_format)

    @overload
    def __call__(
        self, image: I, progress: Progress | None = None, *, layout: Layout | None = None
    ) -> I: ...

    @overload
    def __call__(
        self,
        image: list[I] | tuple[I, ...],
        progress: Progress | None = None,
        *,
        layout: Layout | None = None,
    ) -> list[I]: ...

    def __call__(
        self, image: Any, progress: Progress | None = None, *, layout: Layout | None = None
    ) -> Any:
        """Enlarge a PIL image, an array `(h, w)` or `(..., h, w, c)`, or a tensor `(..., c, h, w)`.

        `layout`: "NHWC" for tensors with their channels last, as ComfyUI's, "NCHW" for arrays with
        them before height and width. Dimensions in front are pictures, which a GPU computes
        together as far as its memory allows. A list or tuple gives a list, picture by picture.

        1 to 4 channels: grey, grey and alpha, RGB, RGB and alpha. Arrays and tensors are uint8,
        uint16, or floats in [0, 1] of 16, 32 or 64 bits, which stay unrounded; floats beyond by
        half a level of 8 bits or less are clamped. Results have the type of the input; tensors come
        back on the CPU. Of PIL images, palettes, CMYK, YCbCr, LAB and HSV come back as RGB, mode
        "1" as "L", and of several frames the one that is shown.

        Raises `ValueError` for anything else, as a path, other floats, NaN, or modes "I" and "F",
        and `PipelineError` where memory does not suffice.
        """
        listener = progress or Silent()
        if isinstance(image, list | tuple):
            return [self(one, progress, layout=layout) for one in image]
        if isinstance(image, Image.Image):
            return to_pil(self.upscale_picture(_from_pil(image), listener))
        if isinstance(image, np.ndarray | Tensor):
            hr = self._upscale(to_batch(image, layout), listener)
            return from_batch(hr, image, layout)
        raise ValueError(
            f"{type(image).__name__} is no picture: open files with PIL.Image.open, and pass "
            "images, numpy arrays, torch tensors, or lists of them"
        )

    def upscale_picture(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """Enlarge every frame, and keep profile, resolution and times."""
        listener = progress or Silent()
        if not picture.animated:
            return replace(picture, frames=(self(picture.frames[0], listener),))
        results = sum(self._result_bytes(to_batch(frame, None)) for frame in picture.frames)
        _check_memory(results, results * FRAME_COPIES)
        frames = []
        with task(listener, "upscale", len(picture.frames), "frames"):
            for frame in picture.frames:
                frames.append(self(frame))
                listener.update(len(frames))
        return replace(picture, frames=tuple(frames))

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the result of a picture of that size, pixels.

        Raises `PipelineError` where the result would be more than 16 times as large.
        """
        return self._target_size.of(width, height)

    def passes(self, width: int, height: int) -> int:
        """Return how often the generator is applied to a picture; 0: it is only made smaller."""
        size = self.size_of(width, height)
        factor = max(size[0] / width, size[1] / height)
        if factor <= 1 and size != (width, height):
            return 0
        if self._generator.scale == 1 < factor:
            raise PipelineError("this model makes pictures no larger")
        passes = 1
        while self._generator.scale**passes < factor:
            passes += 1
        return passes

    @property
    def _reach(self) -> int:
        """How far beyond the network's radius a result depends on its surroundings, LR pixels."""
        return REACH if self._consistent else 0

    def _result_bytes(self, lr: Tensor) -> int:
        """Return the bytes of the result of `(N, c, h, w)`."""
        return math.prod(self.size_of(lr.shape[3], lr.shape[2])) * _bytes_per_position(lr)

    def _required_memory(self, lr: Tensor) -> int:
        """Return the bytes of main memory that the enlargement of `(N, c, h, w)` takes at its peak.

        That is in the last pass: its input, unless that is the caller's; the result; strips of
        rows, where they are resized; and on a CPU what the network computes of a tile.
        """
        scale, passes = self._generator.scale, self.passes(lr.shape[3], lr.shape[2])
        factor = scale ** max(passes - 1, 0)
        height, width = (side * factor for side in lr.shape[2:])
        required = self._result_bytes(lr)
        if factor > 1:
            required += height * width * _bytes_per_position(lr)
        tile = self._tile_of(lr, max(height, width), required)
        made = (width * scale, height * scale) if passes else (width, height)
        size = self.size_of(lr.shape[3], lr.shape[2])
        if size != made:
            required += strip_bytes(lr, tile * scale, made[0], made[1] / size[1])
        if passes and self._device.type == "cpu":
            beyond = 2 * tile_overlap(self._generator, self._reach) if self._seamless else 0
            required += _windows_per_picture(lr) * tile_bytes(
                self._generator, width + beyond, height + beyond, tile, self._reach
            )
        return required

    def _upscale(self, lr: Tensor, progress: Progress) -> Tensor:
        """Enlarge `(N, c, h, w)` to `(N, c, H, W)` of the same type and order in memory."""
        _check_memory(self._result_bytes(lr), self._required_memory(lr))
        width, height = self.size_of(lr.shape[3], lr.shape[2])
        white = WHITE_LEVELS[lr.dtype]
        try:
            hr = _empty(lr, height, width)
            colours, result = lr, hr
            if picture_has_alpha(lr) and bool((lr[:, -1] == white).all()):
                hr[:, -1] = white
                colours, result = lr[:, :-1], hr[:, :-1]
            self._apply_passes(colours, result, progress)
        except (MemoryError, RuntimeError) as error:
            if not is_memory_fault(error):
                raise
            raise PipelineError("memory ran out") from None
        return hr

    def _apply_passes(self, lr: Tensor, hr: Tensor, progress: Progress) -> None:
        """Enlarge `(N, c, h, w)` into `hr` by as many passes of the generator as it takes."""
        passes = self.passes(lr.shape[3], lr.shape[2])
        if not passes:
            resize(lr, hr, wraps=self._seamless)
            return
        for _ in range(passes - 1):
            sides = (side * self._generator.scale for side in lr.shape[2:])
            larger = _empty(lr, *sides)
            self._apply_generator(lr, larger, progress)
            lr = larger
        self._apply_generator(lr, hr, progress)

    def _tile_of(self, lr: Tensor, side: int, reserved: int) -> int:
        """Return the side of tiles for pictures like `lr` whose longer side is `side`.

        `reserved`: bytes of results, which are not taken yet.
        """
        if self._tile:
            return self._tile
        if self._seamless:
            side += 2 * RADIUS
        return best_tile(
            self._generator,
            self._device,
            side,
            images=_windows_per_picture(lr),
            reach=self._reach,
            reserved=reserved if self._device.type == "cpu" else 0,
        )

    def _apply_generator(self, lr: Tensor, hr: Tensor, progress: Progress) -> None:
        """Enlarge `(N, c, h, w)` into `hr`, in smaller tiles if memory runs out."""
        tile = self._tile_of(lr, max(lr.shape[2:]), hr.nbytes)
        batch = best_batch(self._generator, self._device, _windows_per_picture(lr) * tile**2)
        while True:
            try:
                return self._apply_tiled(lr, hr, tile, batch, progress)
            except (MemoryError, RuntimeError) as error:
                if not is_memory_fault(error):
                    raise
            if batch == 1 and tile <= SMALLEST_TILE:
                raise PipelineError(f"memory ran out, even with tiles of {tile} pixels")
            if batch == 1:
                tile //= 2
            batch = 1
            progress.message(f"memory ran out; goes on with tiles of {tile} pixels")

    def _apply_tiled(
        self, lr: Tensor, hr: Tensor, tile: int, batch: int, progress: Progress
    ) -> None:
        """Enlarge `(N, c, h, w)` into `hr` of the same type, tile by tile of `batch` pictures.

        Where `hr` has another size than the network makes, strips of tiles are resized.
        """
        scale, exact = self._generator.scale, lr.dtype != torch.uint8
        resized = hr.shape[2:] != (lr.shape[2] * scale, lr.shape[3] * scale)
        margin = RADIUS if resized and self._seamless else 0
        height, width = (side + 2 * margin for side in lr.shape[2:])
        resizer = (
            StripResizer(hr, height * scale, width * scale, margin * scale) if resized else None
        )
        windows = self._windows(width, height, tile)
        grey = _is_grey(lr)
        done = 0
        with task(progress, "upscale", len(windows), "tile"):
            for rows, strip_windows in groupby(windows, lambda one: one.output_slices(scale)[0]):
                strip = resizer.strip(rows.stop - rows.start) if resizer else hr[:, :, rows]
                for window in strip_windows:
                    columns = window.output_slices(scale)[1]
                    for first in range(0, len(lr), batch):
                        part = slice(first, first + batch)
                        lr_tile = self._cut(lr[part], window, margin).to(self._device)
                        sr = self._upscale_tile(lr_tile, grey[part], exact)
                        sr = sr[..., *window.crop_slices(scale)]
                        strip[part, ..., columns].copy_(from_unit_range(sr, lr.dtype))
                    done += 1
                    progress.update(done)
                if resizer:
                    resizer.resize()

    def _windows(self, width: int, height: int, tile: int) -> list[Window]:
        """Return the tiles of a picture, whose windows reach beyond its edges where it repeats."""
        # Of a picture that is one tile, nothing has to be known of the network.
        if max(height, width) <= tile and not self._seamless:
            return list(tile_windows(width, height, tile, 0))
        tile, overlap = (
            aligned_tile(self._generator, tile),
            tile_overlap(self._generator, self._reach),
        )
        return list(tile_windows(width, height, tile, overlap, overlap if self._seamless else 0))

    def _cut(self, pictures: Tensor, window: Window, margin: int) -> Tensor:
        """Return the window of `(N, c, h, w)` as float in [0, 1].

        Positions of the window begin `margin` pixels before the picture, which repeats if seamless.
        """
        left, top, right, bottom = (position - margin for position in window.outer)
        if not self._seamless:
            return to_unit_range(pictures[..., top:bottom, left:right])
        return to_unit_range(wrapped(pictures, range(top, bottom), range(left, right)))

    def _upscale_tile(self, lr: Tensor, grey: Tensor, exact: bool) -> Tensor:
        """Enlarge `(N, c, h, w) float in [0, 1]` to `(N, c, h·scale, w·scale)`, in [0, 1] too.

        Alpha is enlarged as a grey picture of its own, and colours premultiplied: what lies under
        full transparency is arbitrary, and must not bleed into edges. `grey`: (N,), whose
        results have no colour. `exact`: always in fp32, as where the result is not rounded to 8
        bits.
        """
        colours = premultiply(lr)
        rgb = colours.expand(-1, 3, -1, -1)
        if picture_has_alpha(lr):
            alpha = lr[:, -1:]
            sr, sr_alpha = self._run(torch.cat([rgb, alpha.expand(-1, 3, -1, -1)]), exact).chunk(2)
            sr_alpha = clamp_to_neighbours(sr_alpha.mean(1, keepdim=True), alpha)
            sr = unpremultiply(sr, sr_alpha)
        else:
            sr = self._run(rgb, exact)
        if grey.any():
            without_colour = sr[:, :3].mean(1, keepdim=True)
            is_grey = grey.to(sr.device).view(-1, 1, 1, 1)
            sr = torch.cat([torch.where(is_grey, without_colour, sr[:, :3]), sr[:, 3:]], 1)
        if colours.shape[1] == 1:
            sr = torch.cat([sr[:, :1], sr[:, 3:]], 1)
        return sr

    @torch.inference_mode()
    def _run(self, lr: Tensor, exact: bool) -> Tensor:
        """Apply the network to `(N, 3, h, w) float in [0, 1]`; in fp32 if bf16 overflows.

        Raises `PipelineError` where the result is not finite.
        """
        batch = lr.contiguous(memory_format=torch.channels_last)
        bf16 = self._bf16 and self._generator.allows_bf16 and not exact
        attempts = (True, False) if bf16 else (False,)
        for bf16 in attempts:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=bf16):
                sr = self_ensemble(self._generator, batch) if self._tta else self._generator(batch)
            if torch.isfinite(sr).all():
                return self._finished(sr.float(), lr)
        raise PipelineError("the generator's result is not finite")

    def _finished(self, sr: Tensor, lr: Tensor) -> Tensor:
        """Return the network's result in [0, 1], consistent with `lr` where that is wanted."""
        if not self._consistent:
            return sr.clamp(0, 1)
        # A caller's autocast would compute means in bf16.
        with torch.autocast(self._device.type, enabled=False):
            return make_consistent(sr, lr)


def _load(model: str | Path | Generator, alpha: float | None) -> Generator:
    """Return the model's generator, or with `alpha` the blend of the shipped ones."""
    if alpha is None:
        if isinstance(model, Generator):
            return model
        if not isinstance(model, str | Path):
            raise UsageError(
                f"model: {type(model).__name__} is none; use a name, a file, or a Generator"
            )
        return load_generator(model_file(str(model))).generator
    if model != DEFAULT:
        raise UsageError("alpha: it mixes the two models that come with the program; name no model")
    distortion, perception = (
        load_generator(model_file(name)).generator for name in ("distortion", "perception")
    )
    return blend_generators(distortion, perception, alpha)


def _from_pil(image: Image.Image) -> Picture:
    try:
        return from_pil(image)
    except ImageRefused as refusal:
        advice = "; pass an array, as floats in [0, 1]" if image.mode in ("I", "F") else ""
        raise ValueError(f"{refusal.text}{advice}") from None


def _is_grey(pictures: Tensor) -> Tensor:
    """Return which of `(N, c, h, w)` have no colour, (N,)."""
    if pictures.shape[1] < 3:
        return torch.ones(len(pictures), dtype=torch.bool)
    red, green, blue = (pictures[:, channel].flatten(1) for channel in range(3))
    return (red == green).all(1) & (red == blue).all(1)


def _windows_per_picture(lr: Tensor) -> int:
    """Return how many images the network gets for a picture: colours, and alpha if there is one."""
    return 2 if picture_has_alpha(lr) else 1


def _bytes_per_position(lr: Tensor) -> int:
    return lr.shape[0] * lr.shape[1] * lr.element_size()


def _empty(like: Tensor, height: int, width: int) -> Tensor:
    """Return memory for `(N, c, height, width)` of the type and order of dimensions of `like`."""
    channels_last = like.is_contiguous(memory_format=torch.channels_last)
    return torch.empty(
        (*like.shape[:2], height, width),
        dtype=like.dtype,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )


def _check_memory(result: int, required: int) -> None:
    """Raise `PipelineError` unless `required` bytes are free, of which `result` stay."""
    free = free_memory(torch.device("cpu"))
    if required > free:
        raise PipelineError(
            f"the result takes {result / 1e9:.1f} GB, {required / 1e9:.1f} while it is made, and "
            f"{free / 1e9:.1f} are free"
        )

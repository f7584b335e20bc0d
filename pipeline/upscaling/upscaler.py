"""A generator applied to any picture: in tiles, so that memory does not grow with the picture."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pipeline.devices import computes_in_bf16, pick_device
from pipeline.errors import PipelineError, UsageError
from pipeline.networks import Generator
from pipeline.networks.blending import blend
from pipeline.networks.files import load_generator
from pipeline.networks.folding import folded
from pipeline.networks.self_ensemble import self_ensemble
from pipeline.progress import Progress, Silent
from pipeline.shipped import DEFAULT, model_file
from pipeline.upscaling.pictures import Picture, from_image, to_image
from pipeline.upscaling.tiles import (
    SMALLEST_TILE,
    best_tile,
    free_memory,
    overlap_of,
    windows,
)

I = TypeVar("I", Image.Image, NDArray[Any], Tensor)  # noqa: E741

MAX_SCALE = 16
LEVELS = {torch.uint8: 255, torch.uint16: 65_535, torch.float32: 1}
"""What white is in each type of pixels."""


class Upscaler:
    """Enlarges pictures. Give it one, and get the same kind of thing back, `scale` times as large.

    >>> import numpy as np
    >>> from pipeline import Upscaler
    >>> upscaler = Upscaler("distortion", device="cpu")
    >>> upscaler(np.full((20, 30, 3), 255, np.uint8)).shape
    (80, 120, 3)

    `model`: the name of a generator that comes with the program, a file of ours, ESRGAN's or
    RCAN's, or a `Generator`. `alpha`: instead of a model, a place between the shipped ones, 0
    "distortion" to 1 "perception". `scale`: None is the model's own; others, up to 16, by repeating
    it and a last antialiased resize. `tta`: the mean over the picture turned and mirrored, eight
    times the time. `tile`: side of a tile, LR pixels; None: by the free memory. `precision`:
    "fp32", "bf16", or "auto" for bf16 where the hardware computes in it. Raises `UsageError` and,
    for a file that is no generator, `PipelineError`.
    """

    def __init__(
        self,
        model: str | Path | Generator = DEFAULT,
        *,
        alpha: float | None = None,
        scale: float | None = None,
        tta: bool = False,
        tile: int | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self._device = pick_device(device)
        generator = _loaded(model, alpha)
        self._generator = folded(generator).float().to(self._device)
        self._generator.to(memory_format=torch.channels_last)
        self.scale = float(generator.scale if scale is None else scale)
        if not 1 <= self.scale <= MAX_SCALE:
            raise UsageError(f"scale: {self.scale:g} is not between 1 and {MAX_SCALE}")
        if generator.scale == 1 < self.scale:
            raise UsageError("scale: this model makes pictures no larger")
        if tile is not None and tile < 1:
            raise UsageError(f"tile: {tile} is not a number of pixels")
        self._tta, self._tile = tta, tile
        if precision not in ("auto", "fp32", "bf16"):
            raise UsageError(f"precision: {precision} is unknown; use auto, fp32 or bf16")
        self._bf16 = precision == "bf16" or (precision == "auto" and computes_in_bf16(self._device))

    def __call__(self, image: I, progress: Progress | None = None) -> I:
        """Enlarge a PIL image, an array `(h, w)` or `(h, w, c)`, or a tensor `(..., c, h, w)`.

        1 to 4 channels: grey, grey and alpha, RGB, RGB and alpha. Arrays and tensors are uint8,
        uint16, or float32 in [0, 1], which stays unrounded; tensors come back on the CPU. Raises
        `ValueError` for anything else, `ImageRefused` for images of Pillow's modes "I" and "F",
        and `PipelineError` where memory does not suffice.
        """
        if isinstance(image, Image.Image):
            return to_image(self.picture(from_image(image), progress))
        if isinstance(image, Tensor):
            return self._batch(image.cpu(), progress)
        flat = image.ndim == 2
        if not flat and image.ndim != 3:
            raise ValueError(f"shape {image.shape} is neither (h, w) nor (h, w, c)")
        lr = torch.from_numpy(np.require(image[..., None] if flat else image, None, ["C", "W"]))
        hr = self._batch(lr.permute(2, 0, 1), progress).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(hr[..., 0] if flat else hr)

    def picture(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """Enlarge every frame; all else stays."""
        shown = progress or Silent()
        _check_memory(sum(frame.nbytes for frame in picture.frames) * self._factor**2)
        if not picture.animated:
            return replace(picture, frames=(self(picture.frames[0], shown),))
        shown.start("upscale", len(picture.frames), "frames")
        frames = []
        for frame in picture.frames:
            frames.append(self(frame))
            shown.update(len(frames))
        shown.finish()
        return replace(picture, frames=tuple(frames))

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the result, pixels."""
        return max(round(width * self.scale), 1), max(round(height * self.scale), 1)

    def _batch(self, lr: Tensor, progress: Progress | None) -> Tensor:
        if lr.dtype not in LEVELS or lr.ndim < 3 or not 1 <= lr.shape[-3] <= 4:
            raise ValueError(
                f"{lr.dtype} of shape {tuple(lr.shape)}: pixels are uint8, uint16 or float32, with "
                "1 to 4 channels"
            )
        if lr.numel() == 0:
            raise ValueError(f"shape {tuple(lr.shape)} has no pixels")
        images = lr.reshape(-1, *lr.shape[-3:])
        try:
            results = [self._enlarged(image, progress or Silent()) for image in images]
            batch = results[0][None] if len(results) == 1 else torch.stack(results)
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            raise PipelineError("memory ran out") from None
        return batch.reshape(*lr.shape[:-2], *batch.shape[-2:])

    @property
    def _passes(self) -> int:
        """How often a picture goes through the network on its way to `scale`: once at least."""
        passes = 1
        while self._generator.scale**passes < self.scale:
            passes += 1
        return passes

    @property
    def _factor(self) -> int:
        """How many times as large a picture is, at its largest, on its way to `scale`."""
        return int(self._generator.scale**self._passes)

    def _enlarged(self, lr: Tensor, progress: Progress) -> Tensor:
        """`(c, h, w)` to `(c, H, W)` of the same type."""
        opaque = lr.shape[0] in (2, 4) and bool((lr[-1] == LEVELS[lr.dtype]).all())
        width, height = self.size_of(lr.shape[2], lr.shape[1])
        hr = lr[:-1] if opaque else lr
        _check_memory(hr.numel() * self._factor**2 * hr.element_size())
        for _ in range(self._passes):
            hr = self._once(hr, progress)
        if hr.shape[1:] != (height, width):
            hr = _resized(hr, height, width)
        if opaque:
            alpha = torch.full((1, height, width), LEVELS[lr.dtype]).to(lr.dtype)
            hr = torch.cat([hr, alpha])
        return hr

    def _once(self, lr: Tensor, progress: Progress) -> Tensor:
        """Once through the generator, with smaller tiles when memory runs out."""
        tile = self._tile or best_tile(self._generator, self._device)
        while True:
            try:
                return self._tiled(lr, tile, progress)
            except RuntimeError as error:
                if "memory" not in str(error):
                    raise
            if tile <= SMALLEST_TILE:
                raise PipelineError(f"memory ran out, even with tiles of {tile} pixels")
            tile //= 2
            progress.message(f"memory ran out; goes on with tiles of {tile} pixels")

    def _tiled(self, lr: Tensor, tile: int, progress: Progress) -> Tensor:
        scale, levels = self._generator.scale, LEVELS[lr.dtype]
        channels, height, width = lr.shape
        hr = torch.empty(channels, height * scale, width * scale, dtype=lr.dtype)
        tiles = list(windows(width, height, tile, overlap_of(self._generator)))
        progress.start("upscale", len(tiles), "tile")
        try:
            for done, window in enumerate(tiles, 1):
                left, top, right, bottom = window.outer
                part = lr[:, top:bottom, left:right].to(self._device, torch.float32) / levels
                sr = self._tile_of(part, exact=levels > 255)[:, *window.kept(scale)] * levels
                target = hr[:, *window.target(scale)]
                target.copy_(sr.round() if levels > 1 else sr)
                progress.update(done)
        finally:
            progress.finish()
        return hr

    def _tile_of(self, lr: Tensor, exact: bool) -> Tensor:
        """`(c, h, w) float in [0, 1]` to `(c, h·scale, w·scale)`, in [0, 1] too.

        Colours are enlarged as they would be seen before black, and alpha as a grey picture of its
        own: what lies under full transparency is arbitrary, and must not bleed into edges.
        """
        colours = _premultiplied(lr)
        if len(colours) < len(lr):
            alpha = lr[-1:].expand(3, -1, -1)
            sr, sr_alpha = self._run(torch.stack([colours.expand(3, -1, -1), alpha]), exact)
            sr = _straight(sr, _within(sr_alpha.mean(0, keepdim=True), lr[-1:]))
        else:
            sr = self._run(colours.expand(3, -1, -1)[None], exact)[0]
        if len(colours) == 1:
            sr = torch.cat([sr[:3].mean(0, keepdim=True), sr[3:]])
        return sr

    @torch.inference_mode()
    def _run(self, lr: Tensor, exact: bool) -> Tensor:
        """`(N, 3, h, w) float in [0, 1]` through the network; a result is finite or an error."""
        batch = lr.contiguous(memory_format=torch.channels_last)
        for bf16 in (True, False) if self._bf16 and not exact else (False,):
            with torch.autocast(self._device.type, torch.bfloat16, enabled=bf16):
                sr = self_ensemble(self._generator, batch) if self._tta else self._generator(batch)
            if torch.isfinite(sr).all():
                return sr.float().clamp(0, 1)
        raise PipelineError("the generator's result is not finite")


def _loaded(model: str | Path | Generator, alpha: float | None) -> Generator:
    if alpha is None:
        if isinstance(model, Generator):
            return model
        return load_generator(model_file(str(model))).generator
    if model != DEFAULT:
        raise UsageError("alpha: it mixes the two models that come with the program; name no model")
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha: {alpha:g} is not between 0 and 1")
    distortion, perception = (
        load_generator(model_file(name)).generator for name in ("distortion", "perception")
    )
    return blend(distortion, perception, alpha)


def _check_memory(needed: int) -> None:
    """Refuse a result of `needed` bytes that is not to be had; there is a copy while it is made."""
    free = free_memory(torch.device("cpu"))
    if needed * 2 > free:
        raise PipelineError(
            f"the result takes {needed / 1e9:.1f} GB, twice while it is made, and {free / 1e9:.1f} "
            "are free"
        )


def _resized(hr: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bicubic, of colours as they would be seen before black.

    Channel by channel: copies in floats of a whole picture would take several times its memory.
    """
    levels = LEVELS[hr.dtype]
    size = (height, width)
    alpha = hr[-1].to(torch.float32) / levels if len(hr) in (2, 4) else None
    small = torch.empty(len(hr), height, width, dtype=hr.dtype)
    small_alpha = None if alpha is None else _shrunk(alpha, size)
    for channel in range(len(hr)):
        if alpha is None or small_alpha is None:
            plane = _shrunk(hr[channel].to(torch.float32) / levels, size)
        elif channel < len(hr) - 1:
            seen = _shrunk(hr[channel].to(torch.float32).div_(levels).mul_(alpha), size)
            plane = _straight(seen[None], small_alpha[None])[0]
        else:
            plane = small_alpha
        small[channel].copy_((plane * levels).round() if levels > 1 else plane)
    return small


def _shrunk(plane: Tensor, size: tuple[int, int]) -> Tensor:
    small = F.interpolate(plane[None, None], size, mode="bicubic", antialias=True)[0, 0]
    return small.clamp(0, 1)


def _premultiplied(image: Tensor) -> Tensor:
    """The colours of `(c, h, w)`, times alpha where there is one."""
    return image[:-1] * image[-1:] if len(image) in (2, 4) else image


def _within(alpha: Tensor, lr: Tensor) -> Tensor:
    """An enlarged alpha, `(1, H, W)`, no further than the pixels around it in the LR one reach.

    A network is off by a level here and there; where nothing was, a haze would be left, and holes
    where all was opaque.
    """
    scale = alpha.shape[-1] // lr.shape[-1]
    most, least = F.max_pool2d(lr, 3, 1, 1), -F.max_pool2d(-lr, 3, 1, 1)
    most, least = (
        limit.repeat_interleave(scale, 1).repeat_interleave(scale, 2) for limit in (most, least)
    )
    return alpha.clamp(least, most)


def _straight(colours: Tensor, alpha: Tensor) -> Tensor:
    """Colours times alpha, and alpha, as colours and alpha: `(c, h, w)`, in [0, 1]."""
    visible = alpha > 0.5 / 255
    plain = torch.where(visible, colours / alpha.clamp(min=1e-6), 0).clamp(0, 1)
    return torch.cat([plain, alpha])

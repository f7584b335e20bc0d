"""A generator applied to a picture of any size, in tiles, so that memory stays bounded."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline.devices import free_memory, pick_device, uses_bf16
from pipeline.errors import PipelineError, UsageError
from pipeline.machine_errors import is_memory_fault
from pipeline.networks import Generator
from pipeline.networks.blending import blend_generators
from pipeline.networks.files import load_generator
from pipeline.networks.folding import fold
from pipeline.networks.self_ensemble import self_ensemble
from pipeline.networks.tiles import (
    SMALLEST_TILE,
    aligned_tile,
    best_tile,
    tile_overlap,
    tile_windows,
)
from pipeline.progress import Progress, Silent, task
from pipeline.shipped import DEFAULT, model_file
from pipeline.upscaling.params import upscale_params
from pipeline.upscaling.pictures import Picture, from_pil, to_pil
from pipeline.upscaling.target_size import target_size
from pipeline.upscaling.transparency import (
    WHITE_LEVELS,
    clamp_to_neighbours,
    from_unit_range,
    picture_has_alpha,
    premultiply,
    resize,
    to_unit_range,
    unpremultiply,
)

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
    spandrel opens, an ONNX file, or a `Generator`. `alpha`: instead of a model, a blend of the
    shipped ones, 0 "distortion" to 1 "perception". `scale`: None is the model's own; others, up to
    16, by repeating it and a last antialiased resize, below 1 by the resize alone. `width`,
    `height`: instead, the result's, pixels; with both it fits into them. `tta`: the mean over the
    picture turned and mirrored, eight times the time. `tile`: side of a tile, 16 LR pixels or more;
    None: by free memory. `precision`: "fp32", "bf16", or "auto" for bf16 where the hardware
    computes in it. Raises `UsageError` and, for a file that is no generator, `PipelineError`.
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
            tile=tile,
            device=device,
            precision=precision,
        )
        self._tta, self._tile = params.tta, params.tile
        self._device = pick_device(params.device)
        self._bf16 = uses_bf16(params.precision, self._device)
        generator = _load(model, params.alpha)
        self.scale = float(generator.scale if params.scale is None else params.scale)
        if generator.scale == 1 < self.scale:
            raise UsageError("scale: this model makes pictures no larger")
        self._target_size = target_size(params, generator.scale)
        self._generator = fold(generator).float().to(self._device)
        self._generator.to(memory_format=self._generator.memory_format)

    def __call__(self, image: I, progress: Progress | None = None) -> I:
        """Enlarge a PIL image, an array `(h, w)` or `(h, w, c)`, or a tensor `(..., c, h, w)`.

        1 to 4 channels: grey, grey and alpha, RGB, RGB and alpha. Arrays and tensors are uint8,
        uint16, or float32 in [0, 1], which stays unrounded; tensors come back on the CPU. Raises
        `ValueError` for anything else, `ImageRefused` for images of Pillow's modes "I" and "F",
        and `PipelineError` where memory does not suffice.
        """
        if isinstance(image, Image.Image):
            return to_pil(self.upscale_picture(from_pil(image), progress))
        listener = progress or Silent()
        if isinstance(image, Tensor):
            return self._upscale_tensor(image.cpu(), listener)
        return self._upscale_array(image, listener)

    def upscale_picture(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """Enlarge every frame, and keep profile, resolution and times."""
        listener = progress or Silent()
        height, width = picture.frames[0].shape[:2]
        factor = self._largest_factor(width, height)
        _check_memory(sum(frame.nbytes for frame in picture.frames) * factor**2)
        if not picture.animated:
            return replace(picture, frames=(self._upscale_array(picture.frames[0], listener),))
        frames = []
        with task(listener, "upscale", len(picture.frames), "frames"):
            for frame in picture.frames:
                frames.append(self._upscale_array(frame, Silent()))
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

    def _upscale_array(self, image: NDArray[Any], progress: Progress) -> NDArray[Any]:
        """Enlarge `(h, w)` or `(h, w, c)` to the same type."""
        is_grey = image.ndim == 2
        if not is_grey and image.ndim != 3:
            raise ValueError(f"shape {image.shape} is neither (h, w) nor (h, w, c)")
        lr = torch.from_numpy(np.require(image[..., None] if is_grey else image, None, ["C", "W"]))
        hr = self._upscale_tensor(lr.permute(2, 0, 1), progress).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(hr[..., 0] if is_grey else hr)

    def _upscale_tensor(self, lr: Tensor, progress: Progress) -> Tensor:
        """Enlarge `(..., c, h, w)` to `(..., c, H, W)` of the same type."""
        if lr.dtype not in WHITE_LEVELS or lr.ndim < 3 or not 1 <= lr.shape[-3] <= 4:
            raise ValueError(
                f"{lr.dtype} of shape {tuple(lr.shape)}: pixels are uint8, uint16 or float32, with "
                "1 to 4 channels"
            )
        if lr.numel() == 0:
            raise ValueError(f"shape {tuple(lr.shape)} has no pixels")
        images = lr.reshape(-1, *lr.shape[-3:])
        try:
            results = [self._upscale_image(image, progress) for image in images]
            batch = results[0][None] if len(results) == 1 else torch.stack(results)
        except (MemoryError, RuntimeError) as error:
            if not is_memory_fault(error):
                raise
            raise PipelineError("memory ran out") from None
        return batch.reshape(*lr.shape[:-2], *batch.shape[-2:])

    def _largest_factor(self, width: int, height: int) -> int:
        """Return the scale after the last pass, before the resize."""
        return int(self._generator.scale ** self.passes(width, height))

    def _upscale_image(self, lr: Tensor, progress: Progress) -> Tensor:
        """Enlarge `(c, h, w)` to `(c, H, W)` of the same type."""
        white = WHITE_LEVELS[lr.dtype]
        opaque = picture_has_alpha(lr) and bool((lr[-1] == white).all())
        width, height = self.size_of(lr.shape[2], lr.shape[1])
        hr = lr[:-1] if opaque else lr
        factor = self._largest_factor(lr.shape[2], lr.shape[1])
        _check_memory(hr.numel() * factor**2 * hr.element_size())
        for _ in range(self.passes(lr.shape[2], lr.shape[1])):
            hr = self._apply_generator(hr, progress)
        if hr.shape[1:] != (height, width):
            hr = resize(hr, height, width)
        if opaque:
            alpha = torch.full((1, height, width), white).to(lr.dtype)
            hr = torch.cat([hr, alpha])
        return hr

    def _apply_generator(self, lr: Tensor, progress: Progress) -> Tensor:
        """Enlarge `(c, h, w)` to `(c, h·scale, w·scale)`, in smaller tiles if memory runs out."""
        side = max(lr.shape[1:])
        tile = self._tile or best_tile(self._generator, self._device, side)
        while True:
            try:
                return self._apply_tiled(lr, tile, progress)
            except (MemoryError, RuntimeError) as error:
                if not is_memory_fault(error):
                    raise
            if tile <= SMALLEST_TILE:
                raise PipelineError(f"memory ran out, even with tiles of {tile} pixels")
            tile //= 2
            progress.message(f"memory ran out; goes on with tiles of {tile} pixels")

    def _apply_tiled(self, lr: Tensor, tile: int, progress: Progress) -> Tensor:
        """Enlarge `(c, h, w)` to `(c, h·scale, w·scale)` of the same type, tile by tile."""
        scale, exact = self._generator.scale, lr.dtype != torch.uint8
        channels, height, width = lr.shape
        hr = torch.empty(channels, height * scale, width * scale, dtype=lr.dtype)
        overlap = 0
        # Of a picture that is one tile, nothing has to be known of the network.
        if max(height, width) > tile:
            tile, overlap = aligned_tile(self._generator, tile), tile_overlap(self._generator)
        tiles = list(tile_windows(width, height, tile, overlap))
        with task(progress, "upscale", len(tiles), "tile"):
            for done, window in enumerate(tiles, 1):
                left, top, right, bottom = window.outer
                lr_tile = to_unit_range(lr[:, top:bottom, left:right]).to(self._device)
                sr = self._upscale_tile(lr_tile, exact)[:, *window.crop_slices(scale)]
                hr[:, *window.output_slices(scale)].copy_(from_unit_range(sr, lr.dtype))
                progress.update(done)
        return hr

    def _upscale_tile(self, lr: Tensor, exact: bool) -> Tensor:
        """Enlarge `(c, h, w) float in [0, 1]` to `(c, h·scale, w·scale)`, in [0, 1] too.

        Alpha is enlarged as a grey picture of its own, and colours premultiplied: what lies under
        full transparency is arbitrary, and must not bleed into edges. `exact`: always in fp32,
        as where the result is not rounded to 8 bits.
        """
        colours = premultiply(lr)
        if picture_has_alpha(lr):
            alpha = lr[-1:].expand(3, -1, -1)
            sr, sr_alpha = self._run(torch.stack([colours.expand(3, -1, -1), alpha]), exact)
            sr_alpha = clamp_to_neighbours(sr_alpha.mean(0, keepdim=True), lr[-1:])
            sr = unpremultiply(sr, sr_alpha)
        else:
            sr = self._run(colours.expand(3, -1, -1)[None], exact)[0]
        if len(colours) == 1:
            sr = torch.cat([sr[:3].mean(0, keepdim=True), sr[3:]])
        return sr

    @torch.inference_mode()
    def _run(self, lr: Tensor, exact: bool) -> Tensor:
        """Apply the network to `(N, 3, h, w) float in [0, 1]`, clamped; in fp32 if bf16 overflows.

        Raises `PipelineError` where the result is not finite.
        """
        batch = lr.contiguous(memory_format=torch.channels_last)
        bf16 = self._bf16 and self._generator.allows_bf16 and not exact
        attempts = (True, False) if bf16 else (False,)
        for bf16 in attempts:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=bf16):
                sr = self_ensemble(self._generator, batch) if self._tta else self._generator(batch)
            if torch.isfinite(sr).all():
                return sr.float().clamp(0, 1)
        raise PipelineError("the generator's result is not finite")


def _load(model: str | Path | Generator, alpha: float | None) -> Generator:
    """Return the model's generator, or with `alpha` the blend of the shipped ones."""
    if alpha is None:
        if isinstance(model, Generator):
            return model
        return load_generator(model_file(str(model))).generator
    if model != DEFAULT:
        raise UsageError("alpha: it mixes the two models that come with the program; name no model")
    distortion, perception = (
        load_generator(model_file(name)).generator for name in ("distortion", "perception")
    )
    return blend_generators(distortion, perception, alpha)


def _check_memory(result_bytes: int) -> None:
    """Raise `PipelineError` unless memory holds a result twice, as it does while it is made."""
    free = free_memory(torch.device("cpu"))
    if result_bytes * 2 > free:
        raise PipelineError(
            f"the result takes {result_bytes / 1e9:.1f} GB, twice while it is made, and "
            f"{free / 1e9:.1f} are free"
        )

"""Pictures of any size enlarged by a generator, as long as memory suffices."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline.devices import free_memory, pick_device, uses_bf16
from pipeline.errors import ArgumentError, MachineFaultError, PipelineError
from pipeline.images.decode import ImageRefused
from pipeline.images.raster import Pixels
from pipeline.machine_errors import is_memory_fault
from pipeline.networks import Generator
from pipeline.networks.blending import blend_generators
from pipeline.networks.files import load_generator, load_named_generator
from pipeline.networks.folding import fold
from pipeline.networks.generators.onnx_generator import OnnxGenerator
from pipeline.networks.tiles import USUAL_TILE
from pipeline.progress import Progress, Silent, task
from pipeline.shipped import DEFAULT, model_file
from pipeline.upscaling.arrays import Layout, from_batch, to_batch
from pipeline.upscaling.frames import LazyFrames
from pipeline.upscaling.params import upscale_params
from pipeline.upscaling.pictures import Picture, from_pil, to_pil
from pipeline.upscaling.strips import resize, strip_bytes
from pipeline.upscaling.target_size import target_size
from pipeline.upscaling.tiled_generator import TiledGenerator
from pipeline.upscaling.transparency import WHITE_LEVELS, picture_has_alpha

# A forked process has none of PyTorch's threads, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))

KEPT_FRAMES = 2
"""Frames of a result that stay in memory beside the one that is computed: the first, and the last
"""
DECODED_FRAMES = 4
"""Frames of an animation that are in memory while the next one is decoded"""
MOST_TOGETHER = 16
"""Pictures that are computed at once: more make a GPU no faster, and each waits for all."""
ONE_CORE_PIXELS = USUAL_TILE**2
"""What the generator gets in its last pass: more takes a core long, and much memory for each."""
SHARE_OF_CORES = 2
"""The part of free main memory, one by this number, that pictures on a core each may take."""
SHARE_OF_BATCH = 8
"""The part of free main memory, one by this number, that results of a batch take."""

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
    or "auto" for bf16 where the hardware computes in it. Raises `ArgumentError` and, for a file
    that is no generator, `PipelineError`.

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
        chosen = pick_device(params.device)
        generator = _load(model, params.alpha)
        self.scale = float(generator.scale if params.scale is None else params.scale)
        if generator.scale == 1 < self.scale:
            raise ArgumentError("scale", "this model makes pictures no larger")
        self._target_size = target_size(params, generator.scale)
        folded = fold(generator).float().to(chosen)
        self._tiled = TiledGenerator(
            folded.to(memory_format=folded.memory_format),
            chosen,
            bf16=uses_bf16(params.precision, chosen),
            tta=params.tta,
            seamless=params.seamless,
            # Models that do not enlarge exist to change colours and details.
            consistent=params.consistency and generator.scale > 1,
            tile=params.tile,
        )

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

    def upscale_picture(
        self, picture: Picture, progress: Progress | None = None, encoder_bytes: int = 0
    ) -> Picture:
        """Enlarge every frame, and keep profile, resolution and times.

        Of an animation each frame is enlarged when it is its turn in the result's frames; few are
        in memory. `encoder_bytes`: what the caller takes to encode a frame; the free memory must
        suffice for it. Raises `PipelineError`, for frames when they are enlarged.
        """
        listener = progress or Silent()
        if not picture.animated:
            return self.upscale_pictures([picture], listener, encoder_bytes)[0]
        lr = to_batch(picture.frames[0], None)
        result = self._result_bytes(lr)
        beside = KEPT_FRAMES * result + DECODED_FRAMES * lr.nbytes + encoder_bytes
        check_memory(result, self._required_memory(lr) + beside)

        def enlarged() -> Iterator[Pixels]:
            with task(listener, "upscale", len(picture.frames), "frames"):
                for number, frame in enumerate(picture.frames, 1):
                    hr = self(frame)
                    listener.update(number)
                    yield hr

        return replace(picture, frames=LazyFrames(len(picture.frames), enlarged))

    def upscale_pictures(
        self, pictures: Sequence[Picture], progress: Progress, encoder_bytes: int = 0
    ) -> list[Picture]:
        """Enlarge still pictures of one size, depth and number of channels, all at once."""
        frames = [picture.frames[0] for picture in pictures]
        lr = frames[0][None] if len(frames) == 1 else np.stack(frames)
        result = self._result_bytes(to_batch(lr, None))
        check_memory(result, result + encoder_bytes)
        hr = self(lr, progress)
        return [replace(one, frames=(pixels,)) for one, pixels in zip(pictures, hr, strict=True)]

    def most_together(self, picture: Picture) -> int:
        """Return how many pictures like a still one `upscale_pictures` should get."""
        if picture.animated or not self.passes(*picture.size) or self.suits_one_core(picture):
            return 1
        lr = to_batch(picture.frames[0], None)
        by_memory = free_memory(torch.device("cpu")) // (SHARE_OF_BATCH * self._result_bytes(lr))
        return max(min(self._tiled.batch_of(lr), by_memory, MOST_TOGETHER), 1)

    def suits_one_core(self, picture: Picture) -> bool:
        """Return whether a picture is so small that several should be enlarged on a core each.

        All cores at once must have the memory for it. Never with a GPU, with one core, where views
        of a picture are averaged, and for networks of ONNX, which have threads of their own.
        """
        cores, tiled = torch.get_num_threads(), self._tiled
        is_suitable = tiled.device.type == "cpu" and cores > 1 and not tiled.tta
        if not is_suitable or picture.animated or isinstance(tiled.generator, OnnxGenerator):
            return False
        width, height = picture.size
        factor: int = tiled.scale ** max(self.passes(width, height) - 1, 0)
        if width * height * factor**2 > ONE_CORE_PIXELS:
            return False
        required = cores * self._required_memory(to_batch(picture.frames[0], None))
        return required <= free_memory(tiled.device) // SHARE_OF_CORES

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
        if self._tiled.scale == 1 < factor:
            raise PipelineError("this model makes pictures no larger")
        passes = 1
        while self._tiled.scale**passes < factor:
            passes += 1
        return passes

    def _result_bytes(self, lr: Tensor) -> int:
        """Return the bytes of the result of `(N, c, h, w)`."""
        return math.prod(self.size_of(lr.shape[3], lr.shape[2])) * _bytes_per_position(lr)

    def _required_memory(self, lr: Tensor) -> int:
        """Return the bytes of main memory that the enlargement of `(N, c, h, w)` takes at its peak.

        That is in the last pass: its input, unless that is the caller's; the result; strips of
        rows, where they are resized; and on a CPU what the network computes of a tile.
        """
        scale, passes = self._tiled.scale, self.passes(lr.shape[3], lr.shape[2])
        factor = scale ** max(passes - 1, 0)
        height, width = (side * factor for side in lr.shape[2:])
        required = self._result_bytes(lr)
        if factor > 1:
            required += height * width * _bytes_per_position(lr)
        tile = self._tiled.tile_of(lr, width, height, required)
        made = (width * scale, height * scale) if passes else (width, height)
        size = self.size_of(lr.shape[3], lr.shape[2])
        if size != made:
            required += strip_bytes(lr, tile[1] * scale, made[0], made[1] / size[1])
        if passes:
            required += self._tiled.main_memory(lr, width, height, tile)
        return required

    def _upscale(self, lr: Tensor, progress: Progress) -> Tensor:
        """Enlarge `(N, c, h, w)` to `(N, c, H, W)` of the same type and order in memory."""
        check_memory(self._result_bytes(lr), self._required_memory(lr))
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
            raise MachineFaultError("memory ran out") from None
        return hr

    def _apply_passes(self, lr: Tensor, hr: Tensor, progress: Progress) -> None:
        """Enlarge `(N, c, h, w)` into `hr` by as many passes of the generator as it takes."""
        passes = self.passes(lr.shape[3], lr.shape[2])
        if not passes:
            resize(lr, hr, wraps=self._tiled.seamless)
            return
        for _ in range(passes - 1):
            sides = (side * self._tiled.scale for side in lr.shape[2:])
            larger = _empty(lr, *sides)
            self._tiled.apply(lr, larger, progress)
            lr = larger
        self._tiled.apply(lr, hr, progress)


def _load(model: str | Path | Generator, alpha: float | None) -> Generator:
    """Return the model's generator, or with `alpha` the blend of the shipped ones."""
    if alpha is None:
        if isinstance(model, Generator):
            return model
        if not isinstance(model, str | Path):
            raise ArgumentError(
                "model", f"{type(model).__name__} is none; use a name, a file, or a Generator"
            )
        return load_named_generator("model", model_file(str(model))).generator
    if model != DEFAULT:
        raise ArgumentError(
            "alpha", "it mixes the two models that come with the program; name no model"
        )
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


def _empty(like: Tensor, height: int, width: int) -> Tensor:
    """Return memory for `(N, c, height, width)` of the type and order of dimensions of `like`."""
    channels_last = like.is_contiguous(memory_format=torch.channels_last)
    return torch.empty(
        (*like.shape[:2], height, width),
        dtype=like.dtype,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )


def _bytes_per_position(lr: Tensor) -> int:
    return lr.shape[0] * lr.shape[1] * lr.element_size()


def check_memory(result: int, required: int) -> None:
    """Raise `MachineFaultError` unless `required` bytes are free, of which `result` stay."""
    free = free_memory(torch.device("cpu"))
    if required > free:
        raise MachineFaultError(
            f"the result takes {result / 1e9:.1f} GB, {required / 1e9:.1f} while it is made, and "
            f"{free / 1e9:.1f} are free"
        )

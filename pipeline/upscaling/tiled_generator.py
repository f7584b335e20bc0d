"""A generator applied to pictures in memory, tile by tile."""

import math
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from pipeline.errors import MachineFaultError, PipelineError
from pipeline.machine_errors import is_memory_fault
from pipeline.networks import Generator
from pipeline.networks.self_ensemble import self_ensemble
from pipeline.networks.tiles import (
    FAST_WIDTHS,
    SMALLEST_TILE,
    Window,
    aligned_tile,
    best_batch,
    best_tile,
    tile_bytes,
    tile_overlap,
    tile_windows,
)
from pipeline.progress import Progress, task
from pipeline.upscaling.consistency import REACH, make_consistent
from pipeline.upscaling.strips import RESIZE_REACH, StripResizer, wrapped
from pipeline.upscaling.transparency import (
    clamp_to_neighbours,
    from_unit_range,
    picture_has_alpha,
    premultiply,
    to_unit_range,
    unpremultiply,
)


@dataclass(frozen=True)
class TiledGenerator:
    """A generator and how it is applied.

    `bf16`: where the result is rounded to 8 bits. `consistent`: by `make_consistent`. `tile`: side
    of tiles, LR pixels; None: by free memory. `tta`, `seamless`: as of `Upscaler`.
    """

    generator: Generator
    device: torch.device
    bf16: bool
    tta: bool
    seamless: bool
    consistent: bool
    tile: int | None

    @property
    def scale(self) -> int:
        """Of the generator."""
        return self.generator.scale

    @property
    def _reach(self) -> int:
        """How far beyond the network's radius a result depends on its surroundings, LR pixels."""
        return REACH if self.consistent else 0

    @property
    def _width_multiple(self) -> int:
        """Of what number of LR pixels windows' widths are multiples, to be fast."""
        bf16_on_cpu = self.bf16 and self.generator.allows_bf16 and self.device.type == "cpu"
        # More overlap would move windows from the positions that the network asks for.
        return FAST_WIDTHS if bf16_on_cpu and self.generator.tile_multiple == 1 else 1

    def main_memory(self, lr: Tensor, width: int, height: int, tile: tuple[int, int]) -> int:
        """Return the bytes of main memory for a tile of pictures like `lr`, of another size."""
        if self.device.type != "cpu":
            return 0
        windows = _windows_per_picture(lr) * min(len(lr), self._batch(lr, tile))
        return windows * tile_bytes(
            self.generator, width, height, tile, self._reach, self.seamless, self._width_multiple
        )

    def batch_of(self, lr: Tensor) -> int:
        """Return how many pictures like the first of `(N, c, h, w)` are computed at once."""
        return self._batch(lr, self.tile_of(lr, lr.shape[3], lr.shape[2], 0))

    def _batch(self, lr: Tensor, tile: tuple[int, int]) -> int:
        pixels = _windows_per_picture(lr) * math.prod(tile)
        return best_batch(self.generator, self.device, pixels)

    def tile_of(self, lr: Tensor, width: int, height: int, reserved: int) -> tuple[int, int]:
        """Return width and height of tiles for pictures like `lr`, of another size.

        `reserved`: bytes of results, which are not taken yet.
        """
        if self.tile:
            return self.tile, self.tile
        margin = 2 * RESIZE_REACH if self.seamless else 0
        return best_tile(
            self.generator,
            self.device,
            width + margin,
            height + margin,
            repeats=self.seamless,
            width_multiple=self._width_multiple,
            images=_windows_per_picture(lr),
            reach=self._reach,
            reserved=reserved if self.device.type == "cpu" else 0,
        )

    def apply(self, lr: Tensor, hr: Tensor, progress: Progress) -> None:
        """Enlarge `(N, c, h, w)` into `hr`, in smaller tiles if memory runs out."""
        tile = self.tile_of(lr, lr.shape[3], lr.shape[2], hr.nbytes)
        batch = self._batch(lr, tile)
        while True:
            try:
                return self._apply_tiled(lr, hr, tile, batch, progress)
            except (MemoryError, RuntimeError) as error:
                if not is_memory_fault(error):
                    raise
            side = max(tile)
            if batch == 1 and side <= SMALLEST_TILE:
                raise MachineFaultError(f"memory ran out, even with tiles of {side} pixels")
            if batch == 1:
                side //= 2
                tile = min(tile[0], side), min(tile[1], side)
            batch = 1
            progress.message(f"memory ran out; goes on with tiles of {side} pixels")

    def _apply_tiled(
        self, lr: Tensor, hr: Tensor, tile: tuple[int, int], batch: int, progress: Progress
    ) -> None:
        """Enlarge `(N, c, h, w)` into `hr` of the same type, tile by tile of `batch` pictures.

        Where `hr` has another size than the network makes, strips of tiles are resized.
        """
        scale, exact = self.generator.scale, lr.dtype != torch.uint8
        resized = hr.shape[2:] != (lr.shape[2] * scale, lr.shape[3] * scale)
        margin = RESIZE_REACH if resized and self.seamless else 0
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
                        lr_tile = self._cut(lr[part], window, margin).to(self.device)
                        sr = self._upscale_tile(lr_tile, grey[part], exact)
                        sr = sr[..., *window.crop_slices(scale)]
                        strip[part, ..., columns].copy_(from_unit_range(sr, lr.dtype))
                    done += 1
                    progress.update(done)
                if resizer:
                    resizer.resize()

    def _windows(self, width: int, height: int, tile: tuple[int, int]) -> list[Window]:
        """Return the tiles of a picture, whose windows reach beyond its edges where it repeats."""
        # Of a picture that is one tile, nothing has to be known of the network.
        if width <= tile[0] and height <= tile[1] and not self.seamless:
            return list(tile_windows(width, height, tile, 0))
        tile = aligned_tile(self.generator, tile)
        overlap = tile_overlap(self.generator, self._reach)
        beyond = overlap if self.seamless else 0
        return list(tile_windows(width, height, tile, overlap, beyond, self._width_multiple))

    def _cut(self, pictures: Tensor, window: Window, margin: int) -> Tensor:
        """Return the window of `(N, c, h, w)` as float in [0, 1].

        Positions of the window begin `margin` pixels before the picture, which repeats if seamless.
        """
        left, top, right, bottom = (position - margin for position in window.outer)
        if not self.seamless:
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
        bf16 = self.bf16 and self.generator.allows_bf16 and not exact
        attempts = (True, False) if bf16 else (False,)
        for bf16 in attempts:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                sr = self_ensemble(self.generator, batch) if self.tta else self.generator(batch)
            if torch.isfinite(sr).all():
                return self._finished(sr.float(), lr)
        raise PipelineError("the generator's result is not finite")

    def _finished(self, sr: Tensor, lr: Tensor) -> Tensor:
        """Return the network's result in [0, 1], consistent with `lr` where that is wanted."""
        if not self.consistent:
            return sr.clamp(0, 1)
        # A caller's autocast would compute means in bf16.
        with torch.autocast(self.device.type, enabled=False):
            return make_consistent(sr, lr)


def _is_grey(pictures: Tensor) -> Tensor:
    """Return which of `(N, c, h, w)` have no colour, (N,)."""
    if pictures.shape[1] < 3:
        return torch.ones(len(pictures), dtype=torch.bool)
    red, green, blue = (pictures[:, channel].flatten(1) for channel in range(3))
    return (red == green).all(1) & (red == blue).all(1)


def _windows_per_picture(lr: Tensor) -> int:
    """Return how many images the network gets for a picture: colours, and alpha if there is one."""
    return 2 if picture_has_alpha(lr) else 1

"""Draw locks of hair: fill, shadow, highlight, strands and lines."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.drawings.canvas import Canvas
from pipeline.drawings.geometry import Points, sides
from pipeline.drawings.head import Head
from pipeline.drawings.palette import Cel, mix


@dataclass(frozen=True)
class LockPainter:
    """Draws locks: on a page, for one head, in the hair's colours."""

    canvas: Canvas
    head: Head
    cel: Cel
    rng: np.random.Generator

    def lock(
        self,
        spine: Points,
        width: float,
        taper: float,
        *,
        shaded: bool = False,
        root: float = 0.5,
        outline: float = 0.0,
        shine: tuple[float, float] | None = None,
    ) -> None:
        """Draw one lock along `spine`, page pixels, `width` head units at its widest."""
        ink, scale = self.head.ink, self.head.frame.scale
        along = np.linspace(0, 1, len(spine))
        belly = root + (1 - root) * np.sin(np.minimum(along / taper, 1) * np.pi / 2)
        profile = width * scale * belly * np.clip((1 - along) / (1 - taper), 0, 1) ** 0.75
        left, right = sides(spine, profile)
        cel = self.cel
        self._fill(left, right, shaded)
        if not shaded:
            start = int(len(spine) * max(outline, 0.2))
            depth = np.sin(np.linspace(0, np.pi * 0.8, len(spine) - start))[:, None]
            inner = right[start:] + (left - right)[start:] * depth * self.rng.uniform(0.2, 0.55)
            self.canvas.fill(np.concatenate([inner, right[start:][::-1]]), cel.shade)
        if shine is not None:
            self._shine(left, right, shine)
        if width > 0.2:
            for share in self.rng.uniform(0.2, 0.8, int(width * 6) + 1):
                strand = left + (right - left) * share
                first = int(len(spine) * self.rng.uniform(0.15, 0.5))
                last = int(len(spine) * self.rng.uniform(0.7, 0.97))
                self.canvas.stroke(strand[first:last], cel.strand, ink * 0.6, (0.5, 0.5))
        first = int(outline * len(spine))
        self.canvas.stroke(left[first:], cel.line, ink, (0.5 if outline else 0.1, 0.05))
        self.canvas.stroke(right[first:], cel.line, ink, (0.5 if outline else 0.1, 0.05))

    def _fill(self, left: Points, right: Points, shaded: bool) -> None:
        """Draw the lock's body: flat, or darkening towards its tip under finer strokes."""
        base, shade, light = self.cel.base, self.cel.shade, self.cel.light
        outline = np.concatenate([left, right[::-1]])
        self.canvas.fill(outline, shade if shaded else base)
        if not (self.cel.brushed and isinstance(base, tuple) and isinstance(shade, tuple)):
            return
        root, tip = (shade, mix(shade, base, 0.4)) if shaded else (base, mix(base, shade, 0.8))
        for index in range(len(left) - 1):
            piece = slice(index, index + 2)
            step = np.concatenate([left[piece], right[piece][::-1]])
            self.canvas.fill(step, mix(root, tip, index / len(left)))
        for share in self.rng.uniform(0.05, 0.95, 7):
            strand = left + (right - left) * share
            first = int(len(left) * self.rng.uniform(0, 0.6))
            last = int(len(left) * self.rng.uniform(0.6, 1.0))
            towards = light if isinstance(light, tuple) and self.rng.random() < 0.4 else shade
            colour = mix(root, towards, self.rng.uniform(0.2, 0.7))
            self.canvas.stroke(strand[first:last], colour, self.head.ink * self.rng.uniform(0.6, 2))

    def _shine(self, left: Points, right: Points, span: tuple[float, float]) -> None:
        """Draw a highlight across a lock, its ends cut into teeth as the strands part."""
        count = max(2, round(float(np.hypot(*(left - right).T).max()) / (self.head.ink * 5)))
        first, last = (np.clip(np.array(span) * len(left), 0, len(left) - 2)).astype(int)
        if last - first < 2:
            return
        edges = np.linspace(0.08, 0.92, count + 1)
        for start, end in pairwise(edges):
            top = max(0, first - int(self.rng.uniform(0, 0.45) * (last - first)))
            low = min(len(left), last + int(self.rng.uniform(0, 0.6) * (last - first)))
            piece = slice(top, low)
            width = np.sin(np.linspace(0.1, np.pi - 0.1, low - top))[:, None]
            middle = left[piece] + (right - left)[piece] * (start + end) / 2
            half = (right - left)[piece] * (end - start) / 2 * width
            self.canvas.fill(np.concatenate([middle - half, (middle + half)[::-1]]), self.cel.light)

"""Progress of a batch: the tiles of a single picture, or the pixels of several."""

import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from pipeline.images.decode import ImageRefused, decoding, frame_count
from pipeline.images.opening import FORMATS
from pipeline.images.png_chunks import pixels_in_png
from pipeline.progress import Progress, Silent, task
from pipeline.upscaling.plan import Job


class BatchProgress(Silent):
    """Receives the progress of one picture after the other, and passes it on as it is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, jobs: Sequence[Job]) -> None:
        """Begin with pictures that are computed together; ends those before."""

    def begin_beside(self, job: Job) -> None:
        """Begin with a picture that is computed beside others; ends those begun by `begin`."""

    def end_beside(self, job: Job) -> None:
        """Count one that was begun so as whole."""

    def expect(self, passes: int) -> None:
        """Expect so many tasks of the pictures that were begun."""

    def start(self, label: str, total: int | None, unit: str) -> None:
        self._progress.start(label, total, unit)

    def update(self, done: int, **figures: object) -> None:
        self._progress.update(done, **figures)

    def message(self, text: str) -> None:
        self._progress.message(text)

    def finish(self) -> None:
        self._progress.finish()


class _PixelCounter(BatchProgress):
    """Shows the pixels of all pictures as done, from the progress of each picture's tiles."""

    def __init__(self, pixels: Mapping[Job, int], progress: Progress) -> None:
        super().__init__(progress)
        self._pixels = pixels
        self._begun, self._done, self._computed = 0, 0, 0
        self._passes, self._steps = 1, 1
        self._shown = 0

    def begin(self, jobs: Sequence[Job]) -> None:
        self.end()
        self._computed = sum(self._pixels[job] for job in jobs)
        self._begun += len(jobs)
        self._show(0)

    def begin_beside(self, job: Job) -> None:
        self._begun += 1
        self.end()

    def end_beside(self, job: Job) -> None:
        self._done += self._pixels[job]
        self._show(self._computed)

    def end(self) -> None:
        """Count the pictures that were begun last as whole."""
        self._done += self._computed
        self._computed = 0
        self._show(0)

    def expect(self, passes: int) -> None:
        # The last one takes longest.
        self._passes = passes

    def start(self, label: str, total: int | None, unit: str) -> None:
        self._passes -= 1
        self._steps = total or 1

    def update(self, done: int, **figures: object) -> None:
        if self._passes <= 0:
            self._show(self._computed * done // self._steps)

    def finish(self) -> None:
        """Nothing: the task of a picture is not that of all."""

    def _show(self, computed: int) -> None:
        # Pictures that failed together are begun again, one by one.
        self._shown = max(self._shown, self._done + computed)
        self._progress.update(self._shown, pictures=f"{self._begun}/{len(self._pixels)}")


@contextmanager
def batch_progress(pixels: Mapping[Job, int], progress: Progress) -> Iterator[BatchProgress]:
    """Show the progress of jobs by their pixels; without any of one picture by its tiles."""
    if not pixels:
        yield BatchProgress(progress)
        return
    counter = _PixelCounter(pixels, progress)
    with task(progress, "upscale", sum(pixels.values()), "pixels"):
        yield counter
        counter.end()


def pixels_in_header(path: Path) -> int:
    """Return the pixels of a picture, all frames together; 1 where they are unknown."""
    with suppress(ImageRefused, MemoryError, OSError):
        # What a pipe holds can be read only once.
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb") as file:
                if pixels := pixels_in_png(file):
                    return pixels
            with decoding(), Image.open(path, formats=FORMATS) as image:
                return image.width * image.height * frame_count(image)
    return 1

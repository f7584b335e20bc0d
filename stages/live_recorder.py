"""Curves and pictures of a training, recorded with DVCLive."""

import csv
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.files import atomic_path, writing

if TYPE_CHECKING:
    import numpy as np
    from dvclive.live import Live

Row = Mapping[str, float]


class LiveRecorder:
    """Record a training with DVCLive, for `dvc plots` and `dvc exp show`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._live: Live | None = None
        self._rows: list[Row] = []
        self._pixels: np.ndarray | None = None

    def start(self, rows: Sequence[Row] = ()) -> None:
        """Replace the curves of the last training by `rows` of `step` and figures."""
        self._rows = list(rows)
        with writing(self._folder):
            self._live = self._open()
            self._write_curves()
            for number, row in enumerate(rows, 1):
                self._log(row, plot=False)
                # The first summary decides where the step stands in the file.
                if number in (1, len(rows)):
                    self._live.make_summary()  # type: ignore[no-untyped-call]

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """Append to the plots and rewrite the summary."""
        assert self._live is not None
        row = {"step": step, **figures}
        self._rows.append(row)
        with writing(self._folder):
            self._log(row)
            self._live.make_summary()  # type: ignore[no-untyped-call]

    def samples(self, pixels: "np.ndarray") -> None:
        """Replace samples.png."""
        from PIL import Image

        self._pixels = pixels
        path = self._folder / "samples.png"
        with writing(path), atomic_path(path) as temporary:
            Image.fromarray(pixels).save(temporary, "PNG")

    def end(self) -> None:
        """Finish the summary; rewrite what was removed during the training.

        DVC removes the files before it runs this stage, also where a training that was started by
        hand then keeps the stage from running.
        """
        assert self._live is not None
        with writing(self._folder):
            if self._is_cut():
                self.start(self._rows)
            self._live.end()  # type: ignore[no-untyped-call]
        if self._pixels is not None and not (self._folder / "samples.png").exists():
            self.samples(self._pixels)

    def _open(self) -> "Live":
        from dvclive.live import Live
        from scmrepo.exceptions import SCMError

        # DVCLive would silently append to those that cannot be removed.
        plots = self._folder / "plots"
        if plots.is_dir():
            shutil.rmtree(plots)
        try:
            return Live(
                str(self._folder),
                dvcyaml=None,
                report=None,
                save_dvc_exp=False,
                monitor_system=False,
            )
        except SCMError as error:
            raise PipelineError(
                f"git: {error}; DVCLive needs a commit in the project's repository: git commit"
            ) from None

    def _log(self, row: Row, plot: bool = True) -> None:
        assert self._live is not None
        self._live.step = int(row["step"])
        for name, value in _figures(row):
            self._live.log_metric(name, value, timestamp=False, plot=plot)

    def _write_curves(self) -> None:
        """Write the files to which DVCLive appends.

        It opens one for each value: with rows by the ten thousand a training would take minutes to
        go on.
        """
        curves: dict[str, list[tuple[int, float]]] = {}
        for row in self._rows:
            for name, value in _figures(row):
                curves.setdefault(name, []).append((int(row["step"]), value))
        for name, values in curves.items():
            path = self._curve(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter="\t", lineterminator=os.linesep)
                writer.writerow(["step", path.stem])
                writer.writerows(values)

    def _is_cut(self) -> bool:
        """Return whether a curve has fewer rows than were logged."""
        logged = Counter(name for row in self._rows for name, _ in _figures(row))
        for name, rows in logged.items():
            try:
                with self._curve(name).open("rb") as file:
                    header_and_rows = sum(1 for _ in file)
            except FileNotFoundError:
                return True
            if header_and_rows <= rows:
                return True
        return False

    def _curve(self, name: str) -> Path:
        return self._folder / f"plots/metrics/{name}.tsv"


def _figures(row: Row) -> list[tuple[str, float]]:
    return [(name, value) for name, value in row.items() if name != "step"]

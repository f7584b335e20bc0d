"""TensorBoard's log of a training, by its own library."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.files import writing
from stages.loggers.base import LogLine

if TYPE_CHECKING:
    import numpy as np
    from torch.utils.tensorboard.writer import FileWriter

# TensorBoard's own name for its files.
EVENT_FILES = "events.out.tfevents.*"


class TensorBoard:
    """Writes one event per line; `tensorboard --logdir` of the folder of all runs shows them."""

    def __init__(self) -> None:
        self._folder = Path()
        self._writer: FileWriter | None = None

    def start(self, folder: Path, lines: Sequence[LogLine]) -> None:
        """Replace the events of earlier processes of the run by those of `lines`.

        TensorBoard shows what is in all files of a folder: steps after the last checkpoint would be
        there twice, and those of a process that had no such logger would be missing.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from torch.utils.tensorboard.writer import FileWriter

        self._folder = folder
        with writing(folder):
            outdated = list(folder.glob(EVENT_FILES))
            self._writer = FileWriter(str(folder))
            # An open TensorBoard then forgets what it has read of the removed files.
            started = SessionLog(status=SessionLog.START)
            self._writer.add_event(Event(session_log=started, wall_time=time.time()), 0)
            for line in lines:
                self._add(line)
            self._writer.flush()
            for path in outdated:
                path.unlink()

    def log(self, line: LogLine) -> None:
        """Append an event, so that the file has it also if the process is killed."""
        assert self._writer is not None
        with writing(self._folder):
            self._add(line)
            self._writer.flush()

    def samples(self, step: int, pixels: "np.ndarray") -> None:
        """Show validation details, `(H, W, 3) uint8`."""
        from torch.utils.tensorboard.summary import image

        assert self._writer is not None
        with writing(self._folder):
            picture = image("samples", pixels, dataformats="HWC")  # type: ignore[no-untyped-call]
            self._writer.add_summary(picture, step)
            self._writer.flush()

    def close(self, failed: bool) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, line: LogLine) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        assert self._writer is not None
        # All values in one event: one each would take a minute for a hundred thousand lines.
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in line.values.items()]
        logged = datetime.fromisoformat(line.time).timestamp() if line.time else time.time()
        self._writer.add_summary(Summary(value=values), line.step, logged)

"""How the program ends when it is interrupted, also while it is still importing its modules."""

import os
import signal
from types import FrameType

INTERRUPTED = 130
MESSAGE = "interrupted; run the same command again to go on"


def end_on_signals() -> None:
    """Let Ctrl-C and `kill` end this process at once, in one line, until other handlers are set.

    `KeyboardInterrupt` within an import ends in a traceback, or is lost.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, f"{MESSAGE}\n".encode())
    finally:
        os._exit(INTERRUPTED)

"""Blocks of a GIF (GIF89a), and the field of repetitions.

That counts those after the first play, and is absent for one play.
"""

import re
from collections.abc import Iterator

IMAGE, TRAILER, GRAPHIC_CONTROL = b",", b";", b"!\xf9"
_BLOCK = re.compile(rb"[,;!]")


def plays_of_gif(repetitions: int | None) -> int:
    """Return how often an animation is played, 0 for ever, by GIF's field; None: it has none."""
    if repetitions is None:
        return 1
    return repetitions + 1 if repetitions else 0


def gif_repetitions(plays: int) -> int | None:
    """Return GIF's field for an animation that is played so often, 0 for ever; None: no field."""
    if plays == 1:
        return None
    return plays - 1 if plays else 0


def gif_blocks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, start and end of each block behind a GIF's header.

    The kind is an image (`IMAGE`), the end of the file (`TRAILER`), or an extension: its first two
    bytes, as `GRAPHIC_CONTROL`. Bytes of no meaning between blocks are skipped, as by Pillow.
    """
    position = 13 + _colour_table_bytes(data, 10)
    while (block := _BLOCK.search(data, position)) is not None:
        start, kind = block.start(), block[0]
        if kind == TRAILER:
            position = start + 1
        elif kind == IMAGE:
            position = _after_parts(data, start + 11 + _colour_table_bytes(data, start + 9))
        else:
            kind, position = data[start : start + 2], _after_parts(data, start + 2)
        yield kind, start, position
        if kind == TRAILER:
            return


def _colour_table_bytes(data: bytes, flags_at: int) -> int:
    flags = int.from_bytes(data[flags_at : flags_at + 1])
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_parts(data: bytes, position: int) -> int:
    while position < len(data) and data[position]:
        position += data[position] + 1
    return position + 1

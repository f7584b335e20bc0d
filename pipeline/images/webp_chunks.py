"""The chunks of WebP files (RFC 9649)."""

from collections.abc import Iterator

LOSSY, LOSSLESS = b"VP8 ", b"VP8L"
"""Names of the chunks that hold a picture's colours."""
FILE_HEADER = 12
# What stands in a chunk of a frame before the chunks of its picture.
_FRAME_HEADER = 16


def webp_chunks(data: bytes, position: int = FILE_HEADER) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each chunk's content, from `position`; the last may be cut."""
    while position + 8 <= len(data):
        name, size = data[position : position + 4], data[position + 4 : position + 8]
        start, length = position + 8, int.from_bytes(size, "little")
        yield name, start, min(start + length, len(data))
        position = start + length + length % 2


def first_stream(data: bytes, position: int = FILE_HEADER) -> tuple[bytes, int] | None:
    """Return `LOSSY` or `LOSSLESS`, and where the stream of the first picture begins.

    Returns None where there is no picture.
    """
    for name, start, end in webp_chunks(data, position):
        if name in (LOSSY, LOSSLESS):
            return name, start
        if name == b"ANMF":
            for inner, content, _ in webp_chunks(data[start:end], _FRAME_HEADER):
                if inner in (LOSSY, LOSSLESS):
                    return inner, start + content
    return None

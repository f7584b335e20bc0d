"""How often a JPEG file goes over its picture."""

import re

# Of those that may follow compressed data; the others have no length behind them.
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9


def scan_count(data: bytes) -> int:
    """Return how many scans a JPEG file has: each is decoded for every pixel.

    Ten are usual in a progressive file. Bytes of profiles, thumbnails and whatever lies behind the
    picture do not count.
    """
    count = position = 0
    while found := MARKER.search(data, position):
        kind = found[1][0]
        if kind == END_OF_IMAGE:
            break
        count += kind == START_OF_SCAN
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return count

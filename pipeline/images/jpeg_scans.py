"""Number of scans in a JPEG file."""

import re

# Markers that may follow compressed data and have a length behind them.
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9


def scan_count(data: bytes) -> int:
    """Return how many scans a JPEG file has: each is decoded for every pixel.

    Ten are usual in a progressive file. Profiles, thumbnails and bytes behind the picture do not
    count.
    """
    count = position = 0
    while match := MARKER.search(data, position):
        kind = match[1][0]
        if kind == END_OF_IMAGE:
            break
        count += kind == START_OF_SCAN
        position = match.end() + int.from_bytes(data[match.end() : match.end() + 2], "big")
    return count

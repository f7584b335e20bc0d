"""Damage that decoders do not tell of: they fill what is missing with grey, or draw noise.

Of a JPEG, Pillow hides libjpeg's warnings; simplejpeg raises the first of them. What warns of
anything but the picture itself is left out of the bytes that it is given. Sectors that were never
written are found by their zeros.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image

_SECTOR = 512
_LONG_ZERO_RUN = re.compile(rb"\x00{%d,}" % _SECTOR)
# A run of zeros that begins or ends this near to a sector's border counts as the sector.
_SLACK = 2

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
# What libjpeg says of damaged pictures. It says other things of kinds that it cannot read.
_JPEG_DAMAGE = re.compile(
    "Corrupt JPEG data|Premature end|Inconsistent progression|Bogus|Unsupported marker|"
    "table 0x[0-9a-f]+ was not defined"
)
_SOI, _EOI, _SOS, _TEM, _COM = 0xD8, 0xD9, 0xDA, 0x01, 0xFE
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
# Some encoders end a scan with a few bytes of no meaning, or with zeros.
_PADDING = 16

# libwebp reads ahead by 8 bytes, and encoders end a stream with few zeros that nobody needs.
_WEBP_TAIL = 64
_JPEG2000_START = b"\xff\x4f\xff\x51"
_SIZ, _COD, _SOT = 0x51, 0x52, 0x90
_COMPRESSION = 259
# LZW, JPEG, deflate (twice), PackBits, LZMA, Zstandard, WebP. Fax codes may be filled with zeros.
_NO_ZEROS = frozenset({5, 7, 8, 32946, 32773, 34925, 50000, 50001})


def check_decodes(image: Image.Image, data: bytes) -> None:
    """Decode `image`, which was opened from `data`; raise whatever Pillow does, or `OSError`."""
    format = str(image.format)
    image.load()
    if damage := damage_of(data, format):
        raise OSError(damage)


def damage_of(data: bytes, format: str) -> str | None:
    """What is damaged in a file that Pillow decoded as `format`; None where nothing is known.

    Metadata, padding and whatever follows the picture do not matter. A JPEG of a kind that only
    other decoders read (arithmetic coding, 12 bits, lossless) is not looked at. PNG needs no such
    check: its pixels carry a checksum that Pillow compares. In uncompressed pictures (BMP, TIFF)
    zeros are black, so nothing can be found. Raises `MemoryError`.
    """
    if format in ("JPEG", "MPO"):
        return _jpeg_damage(data)
    if format == "WEBP":
        return _webp_damage(data)
    if format == "AVIF":
        return _avif_damage(data)
    if format == "JPEG2000":
        return _jpeg2000_damage(data)
    if format == "TIFF":
        return _tiff_damage(data)
    return None


def _unwritten(data: bytes, start: int, end: int, *, ends_in_zeros: bool) -> str | None:
    """Sectors of a disk or of a transfer between `start` and `end` that were never written.

    Whole pictures hold long runs of zeros too, but not from the border of a sector to another's.
    `ends_in_zeros`: whether a whole picture of this kind may.
    """
    if data.find(bytes(_SECTOR), start, end) < 0:  # far quicker than the search below
        return None
    for run in _LONG_ZERO_RUN.finditer(data, start, end):
        first, last = -(-run.start() // _SECTOR) * _SECTOR, run.end() // _SECTOR * _SECTOR
        sectors = first - run.start() <= _SLACK and run.end() - last <= _SLACK
        if (first < last and sectors) or (run.end() == end and not ends_in_zeros):
            return f"{run.end() - run.start()} bytes from byte {run.start()} on are zero"
    return None


def _webp_damage(data: bytes) -> str | None:
    """Look at the picture's chunks: decoders notice that bytes are missing, but not zeros."""
    position = 12
    while position + 8 <= len(data):
        name, size = data[position : position + 4], data[position + 4 : position + 8]
        start, length = position + 8, int.from_bytes(size, "little")
        if name in (b"VP8 ", b"VP8L"):
            lossless = name == b"VP8L"
            end = min(start + length, len(data))
            if problem := _unwritten(data, start, end, ends_in_zeros=lossless):
                return problem
            if lossless and (problem := _unused_zeros(data[start:end])):
                return problem
        position = start + length + length % 2
    return None


def _unused_zeros(stream: bytes) -> str | None:
    """Zeros at the end of a lossless stream that its pixels do not need.

    A flat area may be written as many thousand zero bits, all of which the decoder needs. Where
    zeros stand in place of other bits, more or fewer are needed: without more it fails by itself.
    """
    if stream[-_SECTOR:].strip(b"\0") or len(stream) <= _SECTOR:
        return None
    kept = stream[:-_WEBP_TAIL]
    chunk = b"VP8L" + len(kept).to_bytes(4, "little") + kept + bytes(len(kept) % 2)
    shorter = b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
    try:
        with Image.open(io.BytesIO(shorter), formats=("WEBP",)) as image:
            image.load()
    except (OSError, SyntaxError):
        return None
    return "the picture ends before its data, which end in zeros"


def _avif_damage(data: bytes) -> str | None:
    for start, end in _avif_extents(data):
        if problem := _unwritten(data, start, min(end, len(data)), ends_in_zeros=False):
            return problem
    return None


def _avif_extents(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the coded pictures of an AVIF file lie; its metadata may hold any zeros."""
    parts: dict[bytes, int] = {}
    coded: set[int] = set()
    for name, start, end in _boxes(data, 0, len(data)):
        if name == b"meta":
            parts |= {part: at for part, at, _ in _boxes(data, start + 4, end)}
    if not {b"iinf", b"iloc"} <= parts.keys():
        return
    at = parts[b"iinf"]
    for _, start, _ in _boxes(data, at + (8 if any(data[at : at + 1]) else 6), len(data)):
        wide = 4 if data[start : start + 1] > b"\2" else 2
        if data[start + 6 + wide : start + 10 + wide] == b"av01":
            coded.add(int.from_bytes(data[start + 4 : start + 4 + wide]))
    file = io.BytesIO(data)
    file.seek(parts[b"iloc"])

    def number(size: int) -> int:
        return int.from_bytes(file.read(size))

    version, sizes = number(4) >> 24, number(2)
    offset_size, length_size, base_size, index_size = (sizes >> n & 15 for n in (12, 8, 4, 0))
    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        in_file = (number(2) if version else 0) & 15 == 0
        number(2)
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size if version else 0)
            start = base + number(offset_size)
            length = number(length_size)
            if item in coded and in_file:
                yield start, start + length
        if file.tell() >= len(data):
            return


def _boxes(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each box of an ISO media file (HEIF)."""
    while position + 8 <= end:
        size, header = int.from_bytes(data[position : position + 4]), 8
        if size == 1:
            size, header = int.from_bytes(data[position + 8 : position + 16]), 16
        size = size or end - position
        if size < header or position + size > end:
            return
        yield data[position + 4 : position + 8], position + header, position + size
        position += size


def _jpeg2000_damage(data: bytes) -> str | None:
    """Look at the codestream: decoders take zeros for packets that hold nothing."""
    start = max(data.find(_JPEG2000_START), 0)
    end = data.rfind(b"\xff\xd9")
    if problem := _unwritten(data, start, end, ends_in_zeros=True):
        return problem
    most = _empty_packets(data, start)
    for run in _LONG_ZERO_RUN.finditer(data, start, end):
        if most is not None and run.end() - run.start() > most + _SECTOR:
            return f"{run.end() - run.start()} bytes from byte {run.start()} on are zero"
    return None


def _empty_packets(data: bytes, start: int) -> int | None:
    """How many packets a tile may have, each a zero byte where it is empty; None where unknown."""
    position, components, sides = start + 2, 0, (0, 0)
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != _SOT:
        marker = data[position + 1]
        length = int.from_bytes(data[position + 2 : position + 4])
        body = data[position + 4 : position + 2 + length]
        if marker == _SIZ:
            sides = int.from_bytes(body[2:6]), int.from_bytes(body[6:10])
            components = int.from_bytes(body[34:36])
        if marker == _COD and len(body) > 9:
            layers, levels = int.from_bytes(body[2:4]), body[5]
            # Largest precincts, of 2^15 on a side, where none are listed.
            sizes = body[10:] if body[0] & 1 else b"\xff" * (levels + 1)
            precincts = 0
            for level, size in enumerate(reversed(sizes)):
                columns, rows = (
                    (side >> level + bits) + 2
                    for side, bits in zip(sides, (size & 15, size >> 4), strict=True)
                )
                precincts += columns * rows
            return layers * components * precincts
        position += 2 + length
    return None


def _tiff_damage(data: bytes) -> str | None:
    """Look at the compressed strips or tiles of the first picture."""
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        tags = dict(getattr(image, "tag_v2", {}))
    if tags.get(_COMPRESSION) not in _NO_ZEROS:
        return None
    for offsets, lengths in ((273, 279), (324, 325)):
        for start, length in zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False):
            end = min(start + length, len(data))
            if length > _PADDING and not data[start:end].strip(b"\0"):
                return f"{length} bytes from byte {start} on are zero"
            if problem := _unwritten(data, start, end, ends_in_zeros=False):
                return problem
    return None


@dataclass
class _Scans:
    """What the scans of a JPEG tell, as far as they were read.

    `stream` is the file without its metadata and without what lies between segments; the first
    scan starts at `start` of the file, the last that was read is `last` and ends at `end`. `bits`
    are the lowest bits that were sent of each component's 64 coefficients, None where none was.
    """

    stream: bytearray
    sequential: bool = True
    checkable: bool = False
    start: int = 0
    end: int = 0
    last: bytes = b""
    ended: bool = False
    bits: dict[int, list[int | None]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every coefficient was sent to its last bit."""
        return bool(self.bits) and all(set(bits) == {0} for bits in self.bits.values())


def _jpeg_damage(data: bytes) -> str | None:
    scans = _read_scans(data)
    if not scans.checkable:
        return None
    if problem := _unwritten(data, scans.start, scans.end, ends_in_zeros=True):
        return problem
    if problem := _decoding_problem(scans):
        return problem
    return None if scans.complete else "scans are missing at its end"


def _read_scans(data: bytes) -> _Scans:
    """Read segments and scans until the picture is complete or the file ends."""
    scans, position = _Scans(bytearray(data[:2])), 2
    while not scans.complete and (found := _MARKER.search(data, position)):
        marker, position = found[0][1], found.end()
        if marker == _EOI:
            break
        if marker in (_SOI, _TEM):
            continue
        end = position + int.from_bytes(data[position : position + 2])
        body = bytearray(data[position:end])
        position = end
        if marker in (*_SEQUENTIAL, _PROGRESSIVE) and len(body) > 7:
            scans.sequential = marker in _SEQUENTIAL
            scans.checkable = body[2] == 8
            scans.bits = {number: [None] * 64 for number in body[8::3]}
        if marker == _SOS:
            _note_scan(scans, body)
            following = _MARKER.search(data, position)
            scans.start = scans.start or position
            scans.end = position = following.start() if following else len(data)
            scans.last, scans.ended = data[end:position], following is not None
            body += scans.last
        if not 0xE0 <= marker <= 0xEF and marker != _COM:
            scans.stream += bytes((0xFF, marker)) + body
    scans.stream += bytes((0xFF, _EOI))
    return scans


def _note_scan(scans: _Scans, header: bytearray) -> None:
    """Note which coefficients a scan sends."""
    if len(header) < 6:
        return
    if scans.sequential:
        # These have one right value, and encoders that write others send the same picture.
        header[-3:] = (0, 63, 0)
    first, last, low = header[-3], header[-2], header[-1] & 15
    for number in header[3:-3:2]:
        if number in scans.bits and first <= last < 64:
            scans.bits[number][first : last + 1] = [low] * (last + 1 - first)


def _decoding_problem(scans: _Scans) -> str | None:
    # numpy comes with it, and the scraper is to start without.
    import simplejpeg

    try:
        # An eighth of each side: the pixels are not used.
        simplejpeg.decode_jpeg(
            bytes(scans.stream), "gray", min_height=1, min_width=1, min_factor=8, strict=True
        )
    except ValueError as error:
        text = str(error)
        if "Insufficient memory" in text:
            raise MemoryError(text) from None
        return text if _JPEG_DAMAGE.search(text) and not _is_padding(text, scans) else None
    return None


def _is_padding(text: str, scans: _Scans) -> bool:
    """Whether libjpeg's warning tells of bytes that an encoder has put behind a scan."""
    extraneous = _EXTRANEOUS.search(text)
    if extraneous is None or 0xD0 <= int(extraneous[2], 16) <= 0xD7:
        return False
    count = int(extraneous[1])
    zeros = scans.ended and not scans.last[-count:].strip(b"\0")
    return count <= _PADDING or (zeros and count < _SECTOR)

"""Damage of WebP files: decoders notice that bytes are missing, but not zeros."""

import io

from PIL import Image

from pipeline.images.damage.zeros import SECTOR, unwritten_sectors
from pipeline.images.webp_chunks import LOSSLESS, LOSSY, webp_chunks

# libwebp reads ahead by 8 bytes, and encoders end a stream with few superfluous zeros.
_TAIL = 64


def webp_damage(data: bytes) -> str | None:
    """Describe the damage in the chunks of a still picture's colours; None where none was detected.

    Alpha (ALPH) and the frames of animations (ANMF) are not checked.
    """
    for name, start, end in webp_chunks(data):
        if name not in (LOSSY, LOSSLESS):
            continue
        lossless = name == LOSSLESS
        if problem := unwritten_sectors(data, start, end, may_end_in_zeros=lossless):
            return problem
        if lossless and (problem := _superfluous_zeros(data[start:end])):
            return problem
    return None


def _superfluous_zeros(stream: bytes) -> str | None:
    """Describe zeros at the end of a lossless stream that its pixels do not need.

    A flat area may be written as many thousand zero bits, all of which the decoder needs. Where
    zeros stand in place of other bits, more or fewer are needed: without more it fails by itself.
    """
    if stream[-SECTOR:].strip(b"\0") or len(stream) <= SECTOR:
        return None
    kept = stream[:-_TAIL]
    chunk = LOSSLESS + len(kept).to_bytes(4, "little") + kept + bytes(len(kept) % 2)
    shorter = b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
    try:
        with Image.open(io.BytesIO(shorter), formats=("WEBP",)) as image:
            image.load()
    except (OSError, SyntaxError):
        return None
    return "the picture ends before its data, which end in zeros"

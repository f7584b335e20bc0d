"""Pydantic types of the fields of posts, and of `posts.jsonl`, `index.jsonl`, `manifest.csv`."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError

# SQLite, numpy and file systems hold ids, sizes and offsets in signed 64 bits.
_BITS_64 = 2**63
# RIFF, and so WebP, keeps a file's size in 32 bits: no image in a shard is larger.
MAX_WEBP_BYTES = 2**32

MAX_LINE = 4096
"""Letters of a text; the rest of a longer one is cut off."""

# Python's csv reads no field of more than 131,072 letters.
_MAX_TAGS_LENGTH = 100_000
# No format of pictures has longer sides.
_MAX_SIDE = 2**31 - 1
# Readers of text end lines at some of them, and XML and C allow others nowhere.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _file_name(text: str) -> str:
    # Opening a file of such a name would raise another error.
    if text in ("", ".", "..") or any(sign in text for sign in "/\\\0"):
        raise ValueError("should be the plain name of a file")
    return text


def _without_controls(value: object) -> object:
    """Replace what no line of UTF-8 can hold: control characters, and halves of surrogate pairs."""
    if not isinstance(value, str):
        return value
    if value.isprintable():
        return value.strip()
    return _CONTROL.sub(" ", value.encode("utf-8", "replace").decode()).strip()


def _cut(text: str) -> str:
    return text[:MAX_LINE].rstrip()


def _words(value: object) -> object:
    """Return each tag once, sorted; spaces, which separate tags in files, as underscores."""
    if not isinstance(value, list | tuple) or not all(isinstance(tag, str) for tag in value):
        return value
    words = {"_".join(str(_without_controls(tag)).split()) for tag in value}
    return tuple(sorted(words - {""}))


def _check_length(tags: tuple[str, ...]) -> tuple[str, ...]:
    if sum(len(tag) + 1 for tag in tags) > _MAX_TAGS_LENGTH:
        raise ValueError(f"should have at most {_MAX_TAGS_LENGTH} letters in all")
    return tags


def _splittable(address: str) -> str:
    """Raise `ValueError` for an address that `urlsplit` does not take."""
    urlsplit(address)
    return address


Int64 = Annotated[int, Field(ge=-_BITS_64, lt=_BITS_64)]
Index = Annotated[int, Field(ge=0, lt=_BITS_64)]
Size = Annotated[int, Field(gt=0, lt=_BITS_64)]
WebpLength = Annotated[int, Field(gt=0, le=MAX_WEBP_BYTES)]
Side = Annotated[int, Field(gt=0, le=_MAX_SIDE)]
Id = Annotated[int, Field(gt=0, lt=_BITS_64)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
FileName = Annotated[str, Field(max_length=255), AfterValidator(_file_name)]
Line = Annotated[str, BeforeValidator(_without_controls), AfterValidator(_cut)]
"""Text from outside, made one line that any file can hold, of at most `MAX_LINE` letters."""
Tags = Annotated[tuple[str, ...], BeforeValidator(_words), AfterValidator(_check_length)]
"""Tags from outside, cleaned likewise; too many of them are refused."""
Address = Annotated[
    str,
    StringConstraints(max_length=MAX_LINE),
    BeforeValidator(_without_controls),
    AfterValidator(_splittable),
]
Phash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]


def first_problem(error: ValidationError) -> str:
    """Describe in one line the first field that was refused, and why."""
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    message = " ".join(problem["msg"].split())
    return f"{problem['loc'][0]}: {message}" if problem["loc"] else message

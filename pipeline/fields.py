"""Pydantic types of the fields in `posts.jsonl`, `index.jsonl` and `manifest.csv`."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

# SQLite, numpy and file systems hold ids, sizes and offsets in signed 64 bits.
_BITS_64 = 2**63
# RIFF, and so WebP, keeps a file's size in 32 bits: no image in a shard is larger.
MAX_WEBP_BYTES = 2**32


def _file_name(text: str) -> str:
    # Opening a file of such a name would raise another error.
    if text in ("", ".", "..") or any(sign in text for sign in "/\\\0"):
        raise ValueError("should be the plain name of a file")
    return text


Int64 = Annotated[int, Field(ge=-_BITS_64, lt=_BITS_64)]
Index = Annotated[int, Field(ge=0, lt=_BITS_64)]
Size = Annotated[int, Field(gt=0, lt=_BITS_64)]
WebpLength = Annotated[int, Field(gt=0, le=MAX_WEBP_BYTES)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
FileName = Annotated[str, Field(max_length=255), AfterValidator(_file_name)]
Phash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]


def first_problem(error: ValidationError) -> str:
    """Describe in one line the first field that was refused, and why."""
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    message = " ".join(problem["msg"].split())
    return f"{problem['loc'][0]}: {message}" if problem["loc"] else message

"""A folder of originals as `scrape` leaves it, and what odd ones are made of."""

import hashlib
import io
import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from pipeline.images.shards import Member, shard_writer


def drawing(seed: int, width: int = 40, height: int = 48) -> Image.Image:
    """A picture of large shapes, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def write_originals(
    raw: Path,
    pictures: Mapping[int, Image.Image | bytes],
    parents: Mapping[int, int] | None = None,
) -> Path:
    """Write `pictures`, by id, and their `posts.jsonl` to `raw`."""
    raw.mkdir(parents=True, exist_ok=True)
    lines = []
    for id in sorted(pictures, reverse=True):
        picture = pictures[id]
        path = raw / f"{id}.png"
        if isinstance(picture, bytes):
            path.write_bytes(picture)
        else:
            picture.save(path)
        post = {
            "id": id,
            "file": f"{id}.png",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "parent_id": (parents or {}).get(id, 0),
            "rating": "general",
            "tags": ["1girl", "a,b", 'c"d'],
            "post_url": f"http://localhost/{id}",
            "source": 'a, "b"',
        }
        lines.append(json.dumps(post, sort_keys=True) + "\n")
    (raw / "posts.jsonl").write_text("".join(lines))
    return raw


def write_shard(path: Path, members: Iterable[Member]) -> list[tuple[int, int]]:
    """Write a shard; return offset and length of each member's WebP bytes."""
    with shard_writer(path) as add:
        return [(add(member), len(member.webp)) for member in members]


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def swapped_profile() -> bytes:
    """A profile like sRGB, but with red and blue the other way round."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag in range(struct.unpack_from(">I", data, 128)[0]):
        at = 132 + 12 * tag
        name = bytes(data[at : at + 4])
        data[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    return bytes(data)

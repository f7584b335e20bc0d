"""A small project with finished data and training stages: shards, a manifest and a generator."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from pipeline.images.shards import Member, encode_webp, shard_name
from pipeline.manifest.rows import Row, train_images_sha256, write_manifest
from pipeline.networks import SRResNet
from pipeline.networks.files import save_generator
from tests.images.originals import write_shard

SIDE = 64


def drawing(seed: int, side: int = SIDE) -> Image.Image:
    """Discs and lines of random colours."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), tuple(random.integers(120, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, radius = random.integers(0, side, 3).tolist()
        colour = tuple(random.integers(0, 256, 3).tolist())
        draw.ellipse((x - radius / 2, y - radius / 2, x + radius / 2, y + radius / 2), colour)
        draw.line(tuple(random.integers(0, side, 4).tolist()), (20, 20, 40), width=2)
    return image


def make_world(root: Path, splits: dict[str, int], side: int = SIDE, vgg: str = "imagenet") -> None:
    """Write `data/` and `models/` under `root`; `splits`: name → number of images."""
    names = [split for split, count in splits.items() for _ in range(count)]
    images = [drawing(number, side) for number in range(len(names))]
    members = [
        Member(str(100 + index), encode_webp(np.asarray(image)), {"id": 100 + index})
        for index, image in enumerate(images)
    ]
    extents = write_shard(root / "data/resized" / shard_name(0), members)
    rows = [
        _row(100 + index, split, extent, image)
        for index, (split, extent, image) in enumerate(zip(names, extents, images, strict=True))
    ]
    manifest = root / "data/manifest.csv"
    write_manifest(manifest, rows)
    torch.manual_seed(0)
    metadata = {
        "train_images_sha256": train_images_sha256(rows),
        "step": "1200",
        "vgg": vgg,
        "adversarial": "true",
        "torch": "2.14.1+cu130",
        "device": "cuda (NVIDIA H100)",
        "precision": "bf16",
        "code": "c0de" * 4,
        "params": json.dumps({"scale": 4, "adv_weight": 1.0}),
    }
    generator = SRResNet(scale=4, blocks=1, features=8, norm="none", skip="bicubic")
    save_generator(root / "models/generator.safetensors", generator, metadata)


def _row(number: int, split: str, extent: tuple[int, int], image: Image.Image) -> Row:
    return Row(
        id=number,
        tile=0,
        shard=shard_name(0),
        offset=extent[0],
        length=extent[1],
        split=split,
        sha256=sha256(image.tobytes()).hexdigest(),
        phash="0" * 16,
        original_width=image.width,
        original_height=image.height,
        original_format="PNG",
        scale=1.0,
        crop_box=(0, 0, image.width, image.height),
        rating="general",
        tags=("1girl", "solo"),
        post_url=f"https://safebooru.org/index.php?page=post&s=view&id={number}",
        source="",
    )

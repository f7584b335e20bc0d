"""Hostile model files: each ends in a one-line error, in no more memory than it has bytes."""

import io
import json
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import vgg16

from pipeline.errors import PipelineError
from pipeline.networks import RCAN, RRDBNet, SRResNet
from pipeline.networks.files import load_generator, save_generator
from pipeline.networks.perceptual.weights import WeightsUnavailableError, backbone_state
from tests.mutations import mutations
from tests.platforms import limits_memory
from tests.stages.program import pipeline

# A file of a few bytes may ask for terabytes.
pytestmark = limits_memory

MEMORY_BYTES = 300_000_000
HUGE = 10**12
Make = Callable[[Path], None]


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Limit the memory of this process: a larger allocation fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def ours(state: dict[str, Tensor] | None = None, kind: str = "srresnet", **config: object) -> Make:
    """One of our own files, with weights and a config that need not fit."""

    def make(path: Path) -> None:
        network = SRResNet(blocks=1, features=8, norm="none")
        written = json.dumps({**network.config, **config})
        tensors = network.state_dict() if state is None else state
        save_file(tensors, path, {"architecture": kind, "config": written})

    return make


def with_config(config: str, kind: str = "srresnet") -> Make:
    def make(path: Path) -> None:
        metadata = {"architecture": kind, "config": config}
        save_file({"weight": torch.zeros(1)}, path, metadata)

    return make


def with_header(header: bytes, body: bytes = bytes(64), length: int | None = None) -> Make:
    """A safetensors file byte by byte."""
    size = struct.pack("<Q", len(header) if length is None else length)
    return lambda path: path.write_bytes(size + header + body) and None


def esrgan(**changed: object) -> dict[str, object]:
    """A small network's weights under the public names, some of them others."""
    state = RRDBNet(blocks=1, features=8).state_dict()
    return {**state, **{name.replace("__", "."): value for name, value in changed.items()}}


def rcan(**changed: object) -> dict[str, object]:
    state = RCAN(groups=1, blocks=1, features=8, reduction=4).state_dict()
    return {**state, **{name.replace("__", "."): value for name, value in changed.items()}}


def saved(content: object, **options: Any) -> Make:
    return lambda path: torch.save(content, path, **options)


def archive(pickled: bytes, *entries: tuple[str, bytes], compression: int = 0) -> Make:
    """A file of PyTorch's, of any pickle, with entries beside it."""

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as file:
            file.writestr("model/data.pkl", pickled)
            file.writestr("model/version", "3\n")
            for name, content in entries:
                file.writestr(f"model/{name}", content)

    return make


def called(name: str, *arguments: int) -> bytes:
    """A pickle that calls something with large numbers."""
    numbers = b"".join(b"\x8a\x08" + struct.pack("<q", number) for number in arguments)
    return b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n(" + numbers + b"tR."


def nested(depth: int) -> bytes:
    """A pickle of dictionaries that lie in each other as weights in their wrappers do."""
    key = b"X\x06\x00\x00\x00params"
    return b"\x80\x02" + (b"}" + key) * depth + b"}" + b"s" * depth + b"."


def in_each_other(duplicate: bool) -> bytes:
    """A pickle of a dict whose key is 60 levels deep, each twice in the next."""
    levels = b")q\x01"
    for number in range(1, 61):
        again = b"2" if duplicate else bytes((ord("h"), number))
        levels += again + b"\x86" + bytes((ord("q"), number + 1))
    return b"\x80\x02}" + levels + b"K\x01s."


def inside_itself() -> dict[str, object]:
    content: dict[str, object] = {}
    content["params"] = content
    return content


def half_a_file(path: Path) -> None:
    torch.save(esrgan(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def changed_weight(path: Path) -> None:
    """A changed bit of a weight, which torch.load does not notice."""
    weight = torch.full((8, 3, 3, 3), 0.123)
    torch.save(esrgan(conv_first__weight=weight), path)
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<f", 0.123), struct.pack("<f", 0.124), 1))


def overlapping(path: Path) -> None:
    """Entries of an archive that all have the same offset."""
    archive(nested(1), ("data/0", bytes(1_000_000)))(path)
    with zipfile.ZipFile(path, "a") as file:
        (entry,) = (entry for entry in file.infolist() if entry.filename == "model/data/0")
        for number in range(1, 400):
            again = zipfile.ZipInfo(f"model/data/{number}")
            for field in ("CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, field, getattr(entry, field))
            file.filelist.append(again)
            file.NameToInfo[again.filename] = again
        file._didModify = True  # type: ignore[attr-defined]


def short_record(path: Path) -> None:
    """A tensor for which the file has too few bytes."""
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(10**6)}, buffer)
    with zipfile.ZipFile(buffer) as original:
        pickled = original.read("archive/data.pkl")
    archive(pickled, ("data/0", bytes(4)))(path)


def views_that_fit(path: Path) -> None:
    """A few bytes, expanded to the weights of a network of 8 GB."""
    with torch.device("meta"):
        state = RRDBNet(blocks=1, features=4000).state_dict()
    torch.save({name: torch.zeros(1).expand(tensor.shape) for name, tensor in state.items()}, path)


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run",))


COMMON = {
    "config: blocks": ours(blocks=10**9),
    "config: blocks that count": ours(blocks=900, features=65_536),
    "config: features": ours(features=10**9),
    "config: more features": ours(features=60_000),
    "config: scale": ours(scale=10**9),
    "config: scale of 10,000 digits": with_config('{"scale": ' + "9" * 10_000 + "}"),
    "config: no power of 2": ours(scale=3),
    "config: large power of 2": ours(scale=2**40),
    "config: 0 blocks": ours(blocks=0),
    "config: 0 features": ours(features=0),
    "config: negative": ours(blocks=-1),
    "config: fraction": ours(features=8.0),
    "config: truth": ours(blocks=True),
    "config: text": ours(features="8"),
    "config: null": ours(features=None),
    "config: unknown choice": ours(skip="lanczos"),
    "config: list as a choice": ours(skip=["none"]),
    "config: unknown name": ours(**{"\x1b[2J\n" + "x" * 10_000: 1}),
    "config: self": ours(self=1),
    "config: rcan": ours(kind="rcan", groups=10**5, blocks=10**5),
    "config: reduction": with_config('{"reduction": 65536}', "rcan"),
    "config: list": with_config("[1]"),
    "config: string": with_config('"blocks"'),
    "config: nothing": with_config("null"),
    "config: not a number": with_config('{"blocks": NaN}'),
    "config: infinity": with_config('{"blocks": Infinity}'),
    "config: deep": with_config("[" * 10**6),
    "config: none": lambda path: save_file(
        {"weight": torch.zeros(1)}, path, {"architecture": "srresnet"}
    ),
    "architecture: control characters": with_config("{}", "\x1b[2J\n"),
    "weights: none": ours({}),
    "weights: no elements": ours({"tail.weight": torch.zeros(0, HUGE)}),
    "weights: whole numbers": ours(
        {
            name: tensor.to(torch.int8)
            for name, tensor in SRResNet(blocks=1, features=8, norm="none").state_dict().items()
        }
    ),
    "header: longer than the file": with_header(b"{}", length=2**63),
    "header: no json": with_header(b"\xff" * 100),
    "header: deep": with_header(b"[" * 10**6),
    "header: shape": with_header(
        b'{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,64]}}'
    ),
    "header: shape that overflows": with_header(
        b'{"w":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,64]}}'
    ),
    "header: metadata of other kinds": with_header(b'{"__metadata__":{"architecture":1}}', b""),
    "header: unknown numbers": with_header(
        b'{"w":{"dtype":"F128","shape":[4],"data_offsets":[0,64]}}'
    ),
    "header: negative": with_header(b'{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,64]}}'),
    "nothing": lambda path: path.write_bytes(b"") and None,
    "zeros": lambda path: path.write_bytes(bytes(4096)) and None,
}
PICKLED = {
    "code": saved({"weight": Harmful()}),
    "code, first format": saved({"weight": Harmful()}, _use_new_zipfile_serialization=False),
    "half": half_a_file,
    "another protocol": archive(b"\x80\x5e}."),
    "a string of 2 GB": archive(b"\x80\x02X\xff\xff\xff\x7fx."),
    "changed weight": changed_weight,
    "overlapping entries": overlapping,
    "compressed": archive(
        nested(1), ("data/0", bytes(400_000_000)), compression=zipfile.ZIP_DEFLATED
    ),
    "compressed pickle": archive(b"\x80\x02" + b"N0" * 10**8, compression=zipfile.ZIP_DEFLATED),
    "long pickle": archive(b"\x80\x02" + b"N0" * 10**7 + b"}."),
    "bytearray": archive(called("builtins bytearray", 4 * 10**9)),
    "bytearray, first format": lambda path: (
        path.write_bytes(called("builtins bytearray", 4 * 10**9)) and None
    ),
    "tensor": archive(called("torch FloatTensor", 4 * 10**9)),
    "record that is too short": short_record,
    "no pickle": archive(b""),
    "deep wrappers": archive(nested(100_000)),
    "tuples in each other": archive(in_each_other(duplicate=False)),
    "tuples in each other, by DUP": archive(in_each_other(duplicate=True)),
    "tuples in each other, first format": lambda path: (
        path.write_bytes(in_each_other(duplicate=False)) and None
    ),
    "inside itself": saved(inside_itself()),
    "a number": saved(7),
    "a list": saved([torch.zeros(1)]),
    "a tensor": saved(torch.zeros(1)),
    "keys that are no text": saved({1: torch.zeros(1), None: 2, b"x": 3, (1, 2): 4}),
    "a key that sorts with nothing": saved({**esrgan(), 7: torch.zeros(1), "more": torch.zeros(1)}),
    "control characters": saved({**esrgan(), "\x1b[2J\r\n\u202e" + "x" * 10**5: torch.zeros(1)}),
    "no tensors": saved(dict.fromkeys(esrgan(), "text")),
    "a block far away": saved({**esrgan(), f"body.{HUGE}.rdb1.conv1.weight": torch.zeros(1)}),
    "a block of 10,000 digits": saved({**esrgan(), f"body.{'9' * 10_000}.": torch.zeros(1)}),
    "many doublings": saved(
        {**esrgan(), **{f"conv_up{number}.weight": torch.zeros(8, 8, 3, 3) for number in range(10)}}
    ),
    "views": saved(
        esrgan(body__0__rdb1__conv1__weight=torch.zeros(1).expand(60_000, 60_000, 3, 3))
    ),
    "views that fit": views_that_fit,
    "half views": saved(esrgan(conv_hr__weight=torch.zeros(1).half().expand(HUGE))),
    "a number instead of a convolution": saved(
        esrgan(body__0__rdb1__conv1__weight=torch.tensor(1.0))
    ),
    "no features": saved(esrgan(body__0__rdb1__conv1__weight=torch.zeros(0, 0, 3, 3))),
    "no channels": saved(
        rcan(body__0__body__0__body__3__conv_du__0__weight=torch.zeros(0, 8, 1, 1))
    ),
    "truth values": saved(esrgan(conv_hr__bias=torch.zeros(8, dtype=torch.bool))),
    "complex": saved(esrgan(conv_hr__bias=torch.zeros(8, dtype=torch.complex64))),
    "sparse": saved(esrgan(conv_hr__bias=torch.zeros(8).to_sparse())),
    "without values": saved(esrgan(conv_hr__bias=torch.zeros(8, device="meta"))),
    "not a number": saved(esrgan(conv_hr__bias=torch.full((8,), float("nan")))),
    "infinite": saved(esrgan(conv_hr__bias=torch.full((8,), float("inf")))),
    "infinite in fp32": saved(esrgan(conv_hr__bias=torch.full((8,), 1e300, dtype=torch.float64))),
}


def one_line(error: BaseException, path: Path) -> str:
    message = str(error)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 600
    return message


@pytest.mark.parametrize(
    ("name", "make"),
    [
        *((f"{name}.safetensors", make) for name, make in COMMON.items()),
        *((f"{name}.pth", make) for name, make in PICKLED.items()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_hostile_file_ends_in_one_line(
    name: str, make: Make, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / f"model{Path(name).suffix}"
    make(path)
    recwarn.clear()
    with pytest.raises(PipelineError) as raised:
        load_generator(path)
    assert "memory" not in one_line(raised.value, path)
    assert recwarn.list == []


SMALL = RRDBNet(blocks=1, features=4)


def own_file(path: Path) -> None:
    save_generator(path, SMALL, {"step": "7"})


def public_file(path: Path) -> None:
    torch.save({"params_ema": SMALL.state_dict()}, path)


def first_format(path: Path) -> None:
    torch.save(SMALL.state_dict(), path, _use_new_zipfile_serialization=False)


REAL = [("own.safetensors", own_file), ("public.pth", public_file), ("first.pth", first_format)]


@pytest.mark.parametrize(("name", "make"), REAL, ids=[name for name, _ in REAL])
def test_what_is_mutated_is_real(name: str, make: Make, tmp_path: Path) -> None:
    make(tmp_path / name)
    loaded = load_generator(tmp_path / name).generator
    lr = torch.rand(1, 3, 8, 8)
    assert (SMALL.eval()(lr) - loaded(lr)).abs().max() < 1e-5


def loads_or_ends_in_one_line(name: str, make: Make, folder: Path, data: st.DataObject) -> None:
    path = folder / name
    make(path)
    path.write_bytes(data.draw(mutations(path.read_bytes())))
    with suppress(PipelineError):
        load_generator(path)
        return
    with pytest.raises(PipelineError) as raised:
        load_generator(path)
    one_line(raised.value, path)


BRIEFLY = settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(("name", "make"), REAL, ids=[name for name, _ in REAL])
@BRIEFLY
@given(data=st.data())
def test_changed_bytes_load_or_end_in_one_line(
    name: str, make: Make, tmp_path: Path, data: st.DataObject
) -> None:
    loads_or_ends_in_one_line(name, make, tmp_path, data)


@pytest.mark.long
@pytest.mark.parametrize(("name", "make"), REAL, ids=[name for name, _ in REAL])
@settings(BRIEFLY, max_examples=3000)
@given(data=st.data())
def test_many_changed_bytes_load_or_end_in_one_line(
    name: str, make: Make, tmp_path: Path, data: st.DataObject
) -> None:
    loads_or_ends_in_one_line(name, make, tmp_path, data)


COMMANDS = {
    "upscale": ["upscale", "a.png", "--model"],
    "blend": ["blend", "b.safetensors", "-o", "c.safetensors"],
    "export": ["export", "a.onnx", "--model"],
    "card": ["card"],
    "serve": ["serve", "--port", "0", "--model"],
}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("config: blocks", "upscale"),
        ("bytearray", "upscale"),
        ("inside itself", "blend"),
        ("views that fit", "export"),
        ("config: blocks", "card"),
        ("config: unknown name", "serve"),
    ],
)
def test_commands_end_in_one_line_too(name: str, command: str, tmp_path: Path) -> None:
    file = f"model.{'safetensors' if name in COMMON else 'pth'}"
    (COMMON | PICKLED)[name](tmp_path / file)
    (tmp_path / "a.png").write_bytes(b"")
    own_file(tmp_path / "b.safetensors")
    before = {path.name for path in tmp_path.iterdir()}
    result = pipeline(tmp_path, *COMMANDS[command], file)
    assert (result.code, result.out, len(result.problems)) == (2, "", 1), result.err
    named = {"card": "MODEL", "blend": "PERCEPTION"}.get(command, "--model")
    assert result.problems[0].startswith(f"{named}: {file}: ")
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "name",
    ["zeros", "header: shape", "bytearray", "inside itself", "compressed", "not a number", "views"],
)
def test_weights_of_backbones_end_in_one_line_too(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"vgg16.{'safetensors' if name in COMMON else 'pth'}"
    (COMMON | PICKLED)[name](path)
    with pytest.raises(WeightsUnavailableError) as raised:
        backbone_state("vgg16", str(path))
    assert "memory" not in one_line(raised.value, path)


LOADING = {
    "model": "from pipeline.networks.files import load_generator; load_generator(Path(FILE))",
    "vgg16": "from pipeline.networks.perceptual.weights import backbone_state; "
    "backbone_state('vgg16', FILE)",
}
LIMITED = """
import resource, sys
from pathlib import Path
import psutil, torch
import pipeline.networks.files, pipeline.networks.perceptual.weights
from pipeline.errors import PipelineError
FILE = sys.argv[1]
used = psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000, resource.RLIM_INFINITY))
try:
    {loading}
except PipelineError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("kind", ["model.safetensors", "model.pth", "vgg16.safetensors"])
def test_a_shortage_of_memory_is_no_damage(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    if kind == "vgg16.safetensors":
        with torch.device("meta"):
            shapes = {
                f"features.{key}": w.shape for key, w in vgg16().features.state_dict().items()
            }
        save_file({key: torch.zeros(shape) for key, shape in shapes.items()}, path)
    else:
        network = RRDBNet(blocks=23)
        own = path.suffix == ".safetensors"
        save_generator(path, network, {}) if own else torch.save(network.state_dict(), path)
    program = LIMITED.format(loading=LOADING[path.stem])
    command = [sys.executable, "-c", program, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.stderr == ""
    kept, _, message = result.stdout.strip().partition(" ")
    assert kept == "PipelineError"
    assert message.startswith(f"{path}: cannot be ")
    assert message.endswith("not enough memory")


@pytest.mark.parametrize("kind", ["model.safetensors", "model.pth", "vgg16.safetensors"])
def test_a_shortage_of_files_is_no_damage(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    (own_file if path.suffix == ".safetensors" else public_file)(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(PipelineError) as raised:
            load_generator(path) if path.stem == "model" else backbone_state("vgg16", str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert type(raised.value) is PipelineError
    assert str(raised.value) == f"{path}: cannot be read: Too many open files"

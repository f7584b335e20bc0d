"""Wrong arguments of commands are refused before PyTorch is loaded, which takes seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from stages.program import COMMANDS
from tests.stages.program import ROOT

WRONG = {
    "upscale absent.png": "absent.png: No such file",
    "upscale a.png --model absent": "--model: absent is no file, and no model",
    "upscale a.png --scale 99": "--scale: 99 is not between",
    "upscale a.png --format exe": "--format: exe is unknown",
    "upscale a.png --device tpu": "--device: tpu is unknown",
    "serve --device tpu": "--device: tpu is unknown",
    "serve --model pixel.png": "--model: pixel.png: is a picture (PNG), not a model",
    "serve --model absent.pth": "--model: absent.pth: no such file",
    "blend absent.pth a.png": "DISTORTION: absent.pth: no such file",
    "blend a.png mine.pth": "DISTORTION: a.png: is a picture (PNG), not a model",
    "blend a.png a.txt -o a.png": "--output: a.png is one of the two",
    "blend a.png a.txt -o mine.pth": "mine.pth: exists; --overwrite",
    "export pixel.png": "MODEL: pixel.png: is a picture (PNG), not a model",
    "export mine.pth": "MODEL: mine.pth: is text, not a model; it begins: mine",
    "export absent": "MODEL: absent is no file, and no model",
    "export absent.pth": "MODEL: absent.pth: no such file",
    "export web -o mine.txt": "mine.txt: is what is written, and must end in",
    "export web -o mine.pth": "mine.pth: exists; --overwrite",
    "export web --format exe": "'exe' is not one of 'onnx'",
    "card pixel.png": "MODEL: pixel.png: is a picture (PNG), not a model",
    "card absent": "MODEL: absent is no file, and no model",
    "card absent.pth": "MODEL: absent.pth: no such file",
    "card web -o a.txt": "a.txt: exists; --overwrite",
    "compare --format exe": "'exe' is not one of 'text'",
    "tradeoff --by train.absent": "--by: train.absent is no param",
    "tradeoff --rev absent": "dvc: SCM error; it lists the experiments of the git repository",
    "pairs lr --split all": "'all' is not one of 'train'",
    "pairs lr": "params.yaml: not found",
    "degrade absent.png": "absent.png: cannot be read",
    "degrade a.txt": "a.txt: no image of a known format",
    "degrade pixel.png": "pixel.png: 1×1 pixels are fewer",
    "degrade a.png --preset hevy": "--preset: 'hevy' is not one of",
    "degrade a.png -o mine.png": "mine.png: exists; --overwrite",
    "degrade a.png --params absent.yaml": "absent.yaml: not found",
    "degrade a.png --params none.yaml": "none.yaml: train.degradation is none",
    "init a.txt": "a.txt: is a file",
    "recipe absent": "recipe absent: unknown",
    "demo --folder a.txt": "a.txt: is a file",
    "booru --images absent": "absent: no such folder",
    "booru --fault absent": "absent: no such fault",
    "clean --remove absent": "--remove: absent is neither",
}
"""Arguments → what the message has"""
RUN = """
import json, sys
from pipeline.errors import PipelineError
from stages.program import program
from typer import TyperException
reports = {}
for line in json.load(sys.stdin):
    try:
        program()(line.split(), standalone_mode=False)
        reports[line] = "not refused"
    except (PipelineError, TyperException) as error:
        reports[line] = error.format_message() if isinstance(error, TyperException) else str(error)
        if "torch" in sys.modules:
            reports[line] = "PyTorch was loaded"
            break
json.dump(reports, sys.stdout)
"""


def test_they_are_refused_before_pytorch_is_loaded(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    Image.new("RGB", (1, 1)).save(tmp_path / "pixel.png")
    for name in ("a.txt", "mine.png", "mine.pth"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "none.yaml").write_text("train: {degradation: none}\n")
    result = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        input=json.dumps(list(WRONG)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    messages = json.loads(result.stdout)
    assert [line for line in WRONG if WRONG[line] not in messages.get(line, "")] == []


def test_every_command_with_arguments_is_tried() -> None:
    tried = {line.split()[0] for line in WRONG}
    assert {command.__name__ for command in COMMANDS} - tried == {"models", "code"}

"""Wrong arguments of commands are refused before PyTorch is loaded, which takes seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from stages.program import COMMANDS
from tests.stages.program import ROOT

WRONG = (
    "upscale absent.png",
    "upscale a.png --model absent",
    "upscale a.png --scale 99",
    "upscale a.png --format exe",
    "upscale a.png --device tpu",
    "serve --device tpu",
    "serve --model absent.pth",
    "blend absent.pth a.png",
    "blend a.png a.txt -o a.png",
    "blend a.png a.txt -o mine.pth",
    "export absent",
    "export absent.pth",
    "export web -o mine.txt",
    "export web -o mine.pth",
    "export web --format exe",
    "card absent",
    "card absent.pth",
    "card web -o a.txt",
    "compare --format exe",
    "tradeoff --by train.absent",
    "tradeoff --rev absent",
    "pairs lr --split all",
    "pairs lr",
    "degrade absent.png",
    "degrade a.txt",
    "degrade pixel.png",
    "degrade a.png --preset hevy",
    "degrade a.png -o mine.png",
    "degrade a.png --params absent.yaml",
    "degrade a.png --params none.yaml",
    "init a.txt",
    "recipe absent",
    "demo --folder a.txt",
    "booru --images absent",
    "booru --fault absent",
    "clean --remove absent",
)
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
    except (PipelineError, TyperException):
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
        input=json.dumps(WRONG),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout) == {}


def test_every_command_with_arguments_is_tried() -> None:
    tried = {line.split()[0] for line in WRONG}
    assert {command.__name__ for command in COMMANDS} - tried == {"models", "code"}

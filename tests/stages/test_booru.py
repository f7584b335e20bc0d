"""`pipeline booru` as a user runs it."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

from pipeline.booru.collection import collect_folder
from pipeline.booru.server import Booru

PROGRAM = Path(sys.executable).with_name("pipeline")


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, "booru", *options],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_folder_is_served_until_interrupted(images: Path, how: signal.Signals) -> None:
    with start(images.parent, "--images", "images", "--port", "0") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        address = re.fullmatch(r"3 pictures at (http://127\.0\.0\.1:\d+)  \(Ctrl-C ends\)\n", first)
        assert address is not None, first
        assert f"pipeline scrape --site {address[1]} --limit 3" in process.stdout.readline()
        api = f"{address[1]}/index.php?page=dapi&s=post&q=index&json=1"
        with requests.Session() as session:
            assert len(session.get(api, timeout=10).json()) == 3
            process.send_signal(how)
            _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith("interrupted")


def test_drawings_are_kept_in_the_store(tmp_path: Path) -> None:
    with start(tmp_path, "--drawings", "1", "--seed", "5", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("1 pictures at http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    names = sorted(path.name for path in (tmp_path / "data/.store/drawings").glob("[0-9]*"))
    assert [re.sub("-[0-9a-f]{8}", "", name) for name in names] == ["000005.json", "000005.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "missing"], "missing: no such folder; name one that holds pictures"),
        (["--images", "."], ".: holds no JPEG, PNG, GIF or WebP; name a folder with pictures"),
        (["--images", ".", "--drawings", "1"], "--images and --drawings: give one of them"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    with start(tmp_path, *options) as process:
        output, error = process.communicate(timeout=60)
    assert (process.returncode, output, error) == (2, "", f"{message}\n")


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_a_wrong_port_is_told(tmp_path: Path, port: str) -> None:
    with start(tmp_path, "--port", port) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--port" in error
    assert "Traceback" not in error


def test_a_taken_port_is_one_line(images: Path) -> None:
    with Booru(collect_folder(images)) as other:
        port = str(urlsplit(other.url).port)
        with start(images.parent, "--images", "images", "--port", port) as process:
            output, error = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert error.splitlines()[-1] == (
        f"127.0.0.1:{port}: cannot listen there (Address already in use); "
        "choose another port or host"
    )

"""`pipeline booru` as a user runs it."""

import re
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

from pipeline.booru.app import Site
from pipeline.booru.fault_injection import FAULTS
from pipeline.images.collection import collect_folder
from pipeline.processes import ENDING_SIGNALS
from pipeline.wsgi import Server
from tests.stages.program import PROGRAM, Finished, end, pipeline, start


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("how", ENDING_SIGNALS)
def test_a_folder_is_served_until_interrupted(images: Path, how: signal.Signals) -> None:
    if signal.getsignal(how) == signal.SIG_IGN:
        pytest.skip(f"{how.name} is ignored here, as under nohup")
    with start(images.parent, "booru", "--images", "images", "--port", "0") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        address = re.fullmatch(r"3 pictures at (http://127\.0\.0\.1:\d+)  \(Ctrl-C ends\)\n", first)
        assert address is not None, first
        assert f"pipeline scrape --site {address[1]} --limit 3" in process.stdout.readline()
        api = f"{address[1]}/index.php?page=dapi&s=post&q=index&json=1"
        with requests.Session() as session:
            assert len(session.get(api, timeout=10).json()) == 3
            other = session.get(api, headers={"Host": "elsewhere.example"}, timeout=10)
            assert other.status_code == 400
            process.send_signal(how)
            result = end(process)
    assert result.code == 130
    assert "Traceback" not in result.err
    assert result.problems[-1].startswith("interrupted")


def test_under_nohup_a_lost_terminal_ends_nothing(images: Path) -> None:
    command = ["nohup", PROGRAM, "booru", "--images", "images", "--port", "0"]
    with subprocess.Popen(
        command, cwd=images.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        process.send_signal(signal.SIGHUP)
        assert requests.get(url, timeout=10).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert end(process).code == 130


def test_faults_are_made_when_asked(images: Path) -> None:
    options = ["--images", "images", "--port", "0", "--fault", "404", "--fault-every", "2"]
    with start(images.parent, "booru", *options, "--list-fault", "search-down") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        api = f"{url}/index.php?page=dapi&s=post&q=index&json=1"
        with requests.Session() as session:
            post = session.get(api, timeout=10).json()[0]
            assert "search down" in session.get(api, timeout=10).text
            codes = [session.get(post["file_url"], timeout=10).status_code for _ in range(4)]
        process.send_signal(signal.SIGINT)
        end(process)
    assert codes == [200, 404, 200, 404]


def test_drawings_are_kept_in_the_store(tmp_path: Path) -> None:
    with start(tmp_path, "booru", "--drawings", "1", "--seed", "5", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("1 pictures at http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        end(process)
    names = sorted(path.name for path in (tmp_path / "data/.store/drawings").glob("[0-9]*"))
    assert [re.sub("-[0-9a-f]{8}", "", name) for name in names] == ["000005.json", "000005.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "missing"], "missing: no such folder; name one that holds pictures"),
        (["--images", "."], ".: holds no JPEG, PNG, GIF or WebP; name a folder with pictures"),
        (["--list-fault", "x"], f"x: no such fault; faults are {', '.join(FAULTS)}"),
        (["--images", ".", "--drawings", "1"], "--images and --drawings: give one of them"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    assert pipeline(tmp_path, "booru", *options) == Finished(2, "", f"{message}\n")


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_a_wrong_port_is_told(tmp_path: Path, port: str) -> None:
    result = pipeline(tmp_path, "booru", "--port", port)
    assert result.code == 2
    assert "--port" in result.err
    assert "Traceback" not in result.err


def test_a_taken_port_is_one_line(images: Path) -> None:
    with Server(Site(collect_folder(images))) as other:
        port = str(urlsplit(other.url).port)
        result = pipeline(images.parent, "booru", "--images", "images", "--port", port)
    assert (result.code, result.out) == (2, "")
    assert result.problems[-1] == (
        f"127.0.0.1:{port}: cannot listen there (Address already in use); "
        "choose another port or host"
    )

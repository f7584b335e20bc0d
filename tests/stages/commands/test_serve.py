"""`pipeline serve` as a user types it."""

import re
import signal
import socket
from pathlib import Path

import psutil
import pytest
import requests
from PIL import Image

from pipeline.networks.files import save_generator
from tests.stages.program import end, pipeline, start, wait_until
from tests.upscaling.small import generator


def test_the_page_is_there_until_the_user_ends_it(tmp_path: Path) -> None:
    save_generator(tmp_path / "small.safetensors", generator(), {})
    damaged_exif = b"Exif\0\0II*\0\x08\0\0\0\x09\0"
    Image.new("RGB", (12, 9), "teal").save(tmp_path / "a.jpg", exif=damaged_exif)
    process = start(tmp_path, "serve", "--port", "0", "--model", "small.safetensors")
    assert process.stdout is not None
    match = re.fullmatch(r"(http://127\.0\.0\.1:\d+)  \(Ctrl-C ends\)\n", process.stdout.readline())
    assert match
    page = requests.get(match[1], timeout=60).text
    options = re.findall('<option value="([^"]*)">', page)
    assert options[:3] == ["small.safetensors", "auto", "perception"]
    assert {"distortion", "web"} < set(options)
    answer = requests.post(
        f"{match[1]}/upscale",
        params={"model": "small.safetensors", "scale": "4", "format": "png"},
        data=(tmp_path / "a.jpg").read_bytes(),
        timeout=60,
    )
    assert answer.headers["Content-Type"] == "image/png"
    process.send_signal(signal.SIGINT)
    ended = end(process)
    assert (ended.code, ended.problems) == (130, ["interrupted"])


@pytest.mark.slow
def test_a_model_that_restores_is_offered_for_its_scale(tmp_path: Path) -> None:
    save_generator(tmp_path / "clean.safetensors", generator(1), {})
    process = start(tmp_path, "serve", "--port", "0", "--model", "clean.safetensors")
    assert process.stdout is not None
    page = requests.get(process.stdout.readline().split()[0], timeout=60).text
    process.send_signal(signal.SIGINT)
    end(process)
    assert """<select id="model" data-restoring='["clean.safetensors"]'>""" in page
    assert re.findall('<option data-max-pixels="\\d+"[^>]*>(\\d)', page) == [
        "1",
        "2",
        "3",
        "4",
        "8",
    ]


def test_a_proxy_in_front_is_believed_where_it_is_named(tmp_path: Path) -> None:
    process = start(tmp_path, "serve", "--port", "0", "--behind-proxy", "upscale.example")
    assert process.stdout is not None
    url = process.stdout.readline().split()[0]
    headers = {
        "Origin": "https://upscale.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "upscale.example",
    }
    query = {"model": "auto", "scale": "4", "format": "png"}
    sent = [
        requests.post(f"{url}/upscale", params=query, headers=headers | other, timeout=60)
        for other in ({}, {"Host": "elsewhere.example"}, {"Origin": "http://elsewhere.example"})
    ]
    process.send_signal(signal.SIGINT)
    end(process)
    assert [answer.status_code for answer in sent] == [422, 400, 403]


def test_what_is_being_computed_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    Image.effect_noise((1500, 1500), 50).save(tmp_path / "large.png")
    process = start(tmp_path, "serve", "--port", "0")
    assert process.stdout is not None
    url = process.stdout.readline().split()[0]
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as browser:
        data = (tmp_path / "large.png").read_bytes()
        head = "POST /upscale?model=perception&scale=4&format=png HTTP/1.1"
        lines = [head, "Host: localhost", f"Content-Length: {len(data)}", "", ""]
        browser.sendall("\r\n".join(lines).encode() + data)
        times = psutil.Process(process.pid).cpu_times
        before = times().user
        wait_until(lambda: times().user > before + 1)
        process.send_signal(signal.SIGINT)
        assert end(process).code == 130


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "absent.safetensors"], 2, "--model: absent.safetensors: no such"),
        (["--device", "tpu"], 2, "--device: tpu is unknown; use auto"),
        (["--host", "192.0.2.1"], 2, "cannot listen there"),
        (["--host", ""], 2, "--host: is empty; leave it out for 127.0.0.1"),
        (["--host", "a..b"], 2, "a..b:0: cannot listen there"),
        (["--behind-proxy", "https://upscale.example"], 2, "give the name alone"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    result = pipeline(tmp_path, "serve", "--port", "0", *arguments)
    assert (result.code, len(result.problems)) == (code, 1)
    assert message in result.err
